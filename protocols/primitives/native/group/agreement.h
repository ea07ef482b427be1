// X25519 (RFC 7748): Montgomery's ladder, one row per lane. Included once per path, after signature.h.

struct Ladder {
  Fe x2, z2, x3, z3;
};

GROUP_INLINE void swap(Mask mask, Fe& a, Fe& b) {
  const Fe was = a;
  a = select(mask, b, a);
  b = select(mask, was, b);
}

// One step for a bit that is already known to swap or not: RFC 7748, section 5, with its names.
GROUP_TARGET __attribute__((noinline)) void ladder_step(Ladder* state, const Fe* x1, Mask do_swap) {
  swap(do_swap, state->x2, state->x3);
  swap(do_swap, state->z2, state->z3);
  const Fe a = add(state->x2, state->z2);
  const Fe b = subtract(state->x2, state->z2);
  const Fe c = add(state->x3, state->z3);
  const Fe d = subtract(state->x3, state->z3);
  const Wide aa = square(a), bb = square(b);
  const Wide da = product(d, a), cb = product(c, b);
  const Fe aa_fe = carry(aa), bb_fe = carry(bb);
  const Fe e = carry(minus(aa, bb));
  state->x3 = squared(carry(plus(da, cb)));
  state->z3 = multiply(*x1, squared(carry(minus(da, cb))));
  state->x2 = multiply(aa_fe, bb_fe);
  state->z2 = multiply(e, carry(plus(aa, product(e, constant(kA24)))));
}

// scalars: words of clamped scalars, word i of lane l at i · kLanes + l.
GROUP_TARGET void ladder(Ladder* state, const Fe& x1, const Word* scalars) {
  const Fe one = constant(kOne);
  *state = {one, Fe{}, x1, one};
  V before = zero_lanes();
  for (int t = 254; t >= 0; --t) {
    const V bit = (load(scalars + kLanes * (t / 64)) >> (t % 64)) & Word{1};
    ladder_step(state, &x1, equal(bit ^ before, all(1)));
    before = bit;
  }
  const Mask last = equal(before, all(1));
  swap(last, state->x2, state->x3);
  swap(last, state->z2, state->z3);
}

GROUP_TARGET void agree(Byte* out, const Byte* scalars, std::size_t scalar_step, const Byte* points, std::size_t rows) {
  Work memory;
  Workspace& work = *memory;
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    Fe running = constant(kOne);
    for (int v = 0; v < vectors_for(count); ++v) {
      const std::size_t row = first + static_cast<std::size_t>(v) * kLanes;
      read_vector(work.words, points + row * kRowBytes, kRowBytes, rows - row);
      const Fe x1 = from_words(work.words);
      read_vector(work.words, scalars + row * scalar_step, scalar_step, rows - row);
      for (int lane = 0; lane < kLanes; ++lane) {
        work.words[lane] &= ~Word{7};
        Word& top = work.words[3 * kLanes + lane];
        top = (top & ~Word{0} >> 1) | Word{1} << 62;
      }
      Ladder state;
      ladder(&state, x1, work.words);
      // 1/0 is 0: a point of small order gives zero bytes.
      const Mask nothing = is_zero(state.z2);
      work.states[v].e = state.x2;
      work.states[v].g = select(nothing, constant(kOne), state.z2);
      work.states[v].is_identity = nothing;
      work.before[v] = running;
      running = multiply(running, work.states[v].g);
    }
    running = inverse(running);
    for (int v = vectors_for(count) - 1; v >= 0; --v) {
      const Fe u = multiply(work.states[v].e, multiply(running, work.before[v]));
      running = multiply(running, work.states[v].g);
      work.encodings[v] = select(work.states[v].is_identity, Fe{}, u);
    }
    write_rows(work, out + first * kRowBytes, work.encodings, count);
  }
}

constexpr Path make_path(const char* name) {
  return {name, from_uniform, multiply_points, multiply_fixed, multiply_base, add_points, is_valid, verify, agree};
}
