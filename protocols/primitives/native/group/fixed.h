// Multiplication of one point by many scalars, and the remaining operations of group.h. Included once per path, after batch.h.
//
// The table has k·256^i·P for k = 1..8 and i = 0..31, with z = 1. The odd digits of a scalar are summed first, then four
// doublings, then the even ones. Layout: window i, part (y + x, y − x, 2d·x·y), limb, k: eight values in a row are what
// `look_up` reads whole, so that addresses do not depend on the scalar.

constexpr int kVectorsOfWindows = kWindows / kLanes;
constexpr int kTableVectors = kVectorsOfWindows * kEntries;

struct TableWork {
  Extended powers[kVectorsOfWindows];
  Extended multiples[kTableVectors];  // k·powers[v] at kEntries · v + k − 1
  Fe before[kTableVectors];
  Word words[kLimbs * kLanes];
};

inline std::size_t table_at(int window, int part, int limb) {
  return ((static_cast<std::size_t>(window) * 3 + part) * kLimbs + limb) * kEntries;
}

GROUP_TARGET void put_part(Word* table, TableWork& work, int vector, int k, int part, const Fe& value) {
  for (int limb = 0; limb < kLimbs; ++limb) store(work.words + limb * kLanes, value.v[limb]);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int limb = 0; limb < kLimbs; ++limb) {
      table[table_at(vector * kLanes + lane, part, limb) + k] = work.words[limb * kLanes + lane];
    }
  }
}

// Lane l of powers[v] = 256^(v · lanes + l) · p; all lanes of p are the same.
GROUP_TARGET void fill_powers(TableWork& work, Extended p) {
  for (int window = 0; window < kWindows; ++window) {
    const Digit lane = load_digit(kLaneNumbers);
    const Mask here = equal(lane.magnitude, all(static_cast<Word>(window % kLanes)));
    Extended& into = work.powers[window / kLanes];
    into = {select(here, p.x, into.x), select(here, p.y, into.y), select(here, p.z, into.z), select(here, p.t, into.t)};
    for (int k = 0; k < 8; ++k) p = to_extended(doubled({p.x, p.y, p.z}));
  }
}

GROUP_TARGET void fill_table(Word* table, const Extended& point) {
  native::Buffer memory((sizeof(TableWork) + sizeof(Word) - 1) / sizeof(Word), native::Buffer::Content::open);
  TableWork& work = *reinterpret_cast<TableWork*>(memory.data());
  const Mask plain = equal(all(0), all(1));
  fill_powers(work, point);
  for (int v = 0; v < kVectorsOfWindows; ++v) {
    const Cached once = to_cached(to_ready(work.powers[v]));
    work.multiples[kEntries * v] = work.powers[v];
    for (int k = 1; k < kEntries; ++k) {
      work.multiples[kEntries * v + k] = to_extended(added(to_ready(work.multiples[kEntries * v + k - 1]), once, plain));
    }
  }
  // z = 1 for all, with one inversion. No z is zero: the formulas are complete.
  Fe running = constant(kOne);
  for (int i = 0; i < kTableVectors; ++i) {
    work.before[i] = running;
    running = multiply(running, work.multiples[i].z);
  }
  running = inverse(running);
  for (int i = kTableVectors - 1; i >= 0; --i) {
    const Extended& p = work.multiples[i];
    const Fe z_inverse = multiply(running, work.before[i]);
    running = multiply(running, p.z);
    const Fe x = multiply(p.x, z_inverse);
    const Fe y = multiply(p.y, z_inverse);
    put_part(table, work, i / kEntries, i % kEntries, 0, add(y, x));
    put_part(table, work, i / kEntries, i % kEntries, 1, subtract(y, x));
    put_part(table, work, i / kEntries, i % kEntries, 2, multiply(multiply(x, y), constant(kTwiceD)));
  }
}

GROUP_INLINE Fe look_up_part(const Word* part, const Fe& none, V magnitude, Mask is_none) {
  Fe result;
#pragma GCC unroll 10
  for (int limb = 0; limb < kLimbs; ++limb) {
    result.v[limb] = choose(is_none, none.v[limb], look_up(part + limb * kEntries, magnitude));
  }
  return result;
}

GROUP_INLINE Completed add_from_table(const Ready& p, const Word* table, int window, const Digit& digit) {
  const Fe one = constant(kOne);
  const Mask is_none = equal(digit.magnitude, all(0));
  const Niels entry = {look_up_part(table + table_at(window, 0, 0), one, digit.magnitude, is_none),
                       look_up_part(table + table_at(window, 1, 0), one, digit.magnitude, is_none),
                       look_up_part(table + table_at(window, 2, 0), Fe{}, digit.magnitude, is_none)};
  return added(p, entry, digit.negative);
}

GROUP_TARGET __attribute__((noinline)) void sum_of_table(Extended* out, const Word* table, const std::int8_t* digits) {
  Ready sum = identity();
  for (int i = 0; i < kWindows; ++i) sum = to_ready(add_from_table(sum, table, i, load_digit(digits + (2 * i + 1) * kLanes)));
  // y = (sum + difference)/2 and x = (sum − difference)/2; projective coordinates may be scaled by 2.
  Projective p = {subtract(sum.sum, sum.difference), add(sum.sum, sum.difference), carry(twice(widen(sum.z)))};
  for (int k = 0; k < 3; ++k) p = to_projective(doubled(p));
  sum = to_ready(doubled(p));
  for (int i = 0; i < kWindows - 1; ++i) sum = to_ready(add_from_table(sum, table, i, load_digit(digits + 2 * i * kLanes)));
  *out = to_extended(add_from_table(sum, table, kWindows - 1, load_digit(digits + (kDigits - 2) * kLanes)));
}

GROUP_TARGET void multiply_by_table(Workspace& work, Byte* out, const Byte* scalars, const Word* table, std::size_t rows) {
  accept_all(work);
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    for (int v = 0; v < vectors_for(count); ++v) {
      const std::size_t row = first + static_cast<std::size_t>(v) * kLanes;
      read_digits(work, scalars + row * kRowBytes, kRowBytes, rows - row);
      Extended sum;
      sum_of_table(&sum, table, work.digits);
      work.states[v] = halfway(sum);
    }
    encode_doubled_rows(work, out + first * kRowBytes, count);
  }
}

GROUP_TARGET void multiply_fixed(Byte* out, const Byte* scalars, const Byte* point, std::size_t rows) {
  if (rows == 0) return;  // without rows `out` may be null
  Work memory;
  Workspace& work = *memory;
  accept_all(work);
  decode_rows(work, work.points, point, 0, kLanes);
  if (work.valid[0] == 0) {
    std::memset(out, 0, rows * kRowBytes);
    return;
  }
  native::Buffer table(kTableWords, native::Buffer::Content::open);
  fill_table(table.data(), work.points[0]);
  multiply_by_table(work, out, scalars, table.data(), rows);
}

GROUP_TARGET native::Buffer make_base_table() {
  native::Buffer table(kTableWords, native::Buffer::Content::open);
  fill_table(table.data(), {constant(kBaseX), constant(kBaseY), constant(kOne), constant(kBaseT)});
  return table;
}

GROUP_TARGET const native::Buffer& base_table() {
  static const native::Buffer table = make_base_table();
  return table;
}

GROUP_TARGET void multiply_base(Byte* out, const Byte* scalars, std::size_t rows) {
  const native::Buffer& table = base_table();
  Work memory;
  multiply_by_table(*memory, out, scalars, table.data(), rows);
}

GROUP_TARGET void add_points(Byte* out, const Byte* a, const Byte* b, bool negate, std::size_t rows) {
  Work memory;
  Workspace& work = *memory;
  const Mask sign = equal(all(negate ? 1 : 0), all(1));
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    decode_rows(work, work.points, a + first * kRowBytes, kRowBytes, count);
    decode_rows(work, work.others, b + first * kRowBytes, kRowBytes, count);
    for (int v = 0; v < vectors_for(count); ++v) {
      work.points[v] = to_extended(added(to_ready(work.points[v]), to_cached(to_ready(work.others[v])), sign));
    }
    encode_rows(work, out + first * kRowBytes, count);
  }
}

GROUP_TARGET void from_uniform(Byte* out, const Byte* uniform, std::size_t rows) {
  Work memory;
  Workspace& work = *memory;
  const Mask plain = equal(all(0), all(1));
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    for (int half = 0; half < 2; ++half) {
      const Byte* from = uniform + first * kUniformBytes + half * kRowBytes;
      for (int at = 0; at < padded_vectors_for(count); at += kWays) {
        Fe t[kWays];
        for (int w = 0; w < kWays; ++w) {
          const std::size_t row = smaller(static_cast<std::size_t>(at + w) * kLanes, count);
          read_vector(work.words, from + row * kUniformBytes, kUniformBytes, count - row);
          t[w] = from_words(work.words);
        }
        map_half((half == 0 ? work.points : work.others) + at, t);
      }
    }
    for (int v = 0; v < vectors_for(count); ++v) {
      work.points[v] = to_extended(added(to_ready(work.points[v]), to_cached(to_ready(work.others[v])), plain));
    }
    encode_rows(work, out + first * kRowBytes, count);
  }
}

GROUP_TARGET void is_valid(Byte* out, const Byte* points, std::size_t rows) {
  Work memory;
  Workspace& work = *memory;
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    decode_rows(work, work.points, points + first * kRowBytes, kRowBytes, count);
    for (std::size_t i = 0; i < count; ++i) out[first + i] = work.valid[i] & 1;
  }
}
