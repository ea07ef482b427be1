// Ed25519 signatures (RFC 8032, without a cofactor): is R the encoding of [s]B − [h]A? Included once per path, after fixed.h.
//
// Each signature is judged alone, in its lane, as OpenSSL judges it: s below the order; A's y taken modulo p, whatever its bytes,
// and a sign bit that x = 0 ignores; h as an integer below the order, since A may have a part of small order; R compared as
// bytes, so that it must be canonical. All of it is public.

// −A for 32-byte keys: A's x is the root of (y² − 1)/(d·y² + 1) that has the parity of bit 255.
GROUP_TARGET void decode_negated_keys(Workspace& work, const Byte* keys, std::size_t count) {
  const Fe one = constant(kOne);
  for (int at = 0; at < padded_vectors_for(count); at += kWays) {
    Fe u[kWays], v[kWays], y[kWays], root[kWays];
    Mask is_odd[kWays], was_square[kWays];
    for (int w = 0; w < kWays; ++w) {
      const std::size_t first = smaller(static_cast<std::size_t>(at + w) * kLanes, count);
      read_vector(work.words, keys + first * kRowBytes, kRowBytes, count - first);
      y[w] = from_words(work.words);
      is_odd[w] = equal(load(work.words + 3 * kLanes) >> 63, all(1));
      const Fe yy = squared(y[w]);
      u[w] = subtract(yy, one);
      v[w] = add(multiply(yy, constant(kD)), one);
    }
    square_root_ratios(was_square, root, u, v);
    for (int w = 0; w < kWays; ++w) {
      // What stands for a key that is no point is the identity: only on the curve is no z of a sum zero, and they share an inverse.
      const Fe x = select(was_square[w], select(is_odd[w], root[w], negated(root[w])), Fe{});
      const Fe on_curve = select(was_square[w], y[w], one);
      work.points[at + w] = {x, on_curve, one, multiply(x, on_curve)};
      Word* flags = work.valid + (at + w) * kLanes;
      store(flags, load(flags) & all_ones(was_square[w]));
    }
  }
}

// The digits of s and of h = SHA-512(R ‖ A ‖ message) modulo the order; and valid &= s is below it.
inline void read_signatures(Workspace& work, std::int8_t* s_digits, Word* valid, const Byte* signatures, const Byte* hashes,
                            std::size_t rows) {
  std::memset(work.digits, 0, sizeof work.digits);
  std::memset(s_digits, 0, sizeof work.digits);
  for (std::size_t lane = 0; lane < smaller(rows, kLanes); ++lane) {
    Byte h[kRowBytes];
    reduce(h, hashes + lane * kUniformBytes);
    whole_digits(work.digits + lane, kLanes, h);
    const Byte* s = signatures + lane * kUniformBytes + kRowBytes;
    if (is_below_order(s)) {
      whole_digits(s_digits + lane, kLanes, s);
    } else {
      valid[lane] = 0;
    }
  }
}

// The digits of h times the point of the multiples, and those of s times B, on one chain of doublings.
GROUP_TARGET __attribute__((noinline)) void climb_twice(Projective* out, const Cached* multiples, const std::int8_t* h_digits,
                                                        const Word* base_table, const std::int8_t* s_digits) {
  Ready ready = identity();
  for (int i = kDigits - 1;; --i) {
    const Digit h = load_digit(h_digits + i * kLanes);
    const Digit s = load_digit(s_digits + i * kLanes);
    ready = to_ready(added(ready, select_multiple(multiples, h.magnitude), h.negative));
    *out = to_projective(add_from_table(ready, base_table, 0, s));
    if (i == 0) return;
    for (int k = 0; k < 3; ++k) double_in_place(out);
    ready = to_ready(doubled(*out));
  }
}

// out: 1 where the point of `states`, in e, f and g as x, y and z, has R as its encoding and the row is valid, else 0.
GROUP_TARGET void compare_encodings(Workspace& work, Byte* out, const Byte* signatures, std::size_t count) {
  const int vectors = vectors_for(count);
  Fe running = constant(kOne);
  for (int v = 0; v < vectors; ++v) {
    work.before[v] = running;
    running = multiply(running, work.states[v].g);
  }
  running = inverse(running);
  for (int v = vectors - 1; v >= 0; --v) {
    const Fe z_inverse = multiply(running, work.before[v]);
    running = multiply(running, work.states[v].g);
    to_words(work.words, multiply(work.states[v].f, z_inverse));
    const V sign = all_ones(is_negative(multiply(work.states[v].e, z_inverse))) << 63;
    store(work.words + 3 * kLanes, load(work.words + 3 * kLanes) | sign);
    for (std::size_t lane = 0; lane < smaller(count - static_cast<std::size_t>(v) * kLanes, kLanes); ++lane) {
      const std::size_t row = static_cast<std::size_t>(v) * kLanes + lane;
      Word r[4], differences = 0;
      std::memcpy(r, signatures + row * kUniformBytes, sizeof r);
      for (int i = 0; i < 4; ++i) differences |= r[i] ^ work.words[kLanes * i + lane];
      out[row] = differences == 0 && work.valid[row] != 0;
    }
  }
}

GROUP_TARGET void verify(Byte* out, const Byte* keys, const Byte* hashes, const Byte* signatures, std::size_t rows) {
  const native::Buffer& table = base_table();
  Work memory;
  Workspace& work = *memory;
  std::int8_t s_digits[sizeof work.digits];
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    decode_negated_keys(work, keys + first * kRowBytes, count);
    for (int v = 0; v < vectors_for(count); ++v) {
      const std::size_t at = static_cast<std::size_t>(v) * kLanes;
      const std::size_t row = first + at;
      read_signatures(work, s_digits, work.valid + at, signatures + row * kUniformBytes, hashes + row * kUniformBytes, rows - row);
      fill_multiples(work.multiples, work.points[v]);
      Projective sum;
      climb_twice(&sum, work.multiples, work.digits, table.data(), s_digits);
      work.states[v].e = sum.x;
      work.states[v].f = sum.y;
      work.states[v].g = sum.z;
    }
    compare_encodings(work, out + first, signatures + first * kUniformBytes, count);
  }
}
