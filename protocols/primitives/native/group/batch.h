// The operations of group.h on rows, in chunks: a chunk decodes all its rows, then works on one vector (one row per lane) after
// the other, and shares one inversion. Included once per path, after point.h and after these are defined:
//   Digit, load_digit(const int8_t*)   a signed digit per lane: magnitude and sign
//   look_up(const Word* eight, V index)   eight[index − 1] in each lane for 1 <= index <= 8, at fixed addresses
// Extra rows of the last vectors are zero bytes: the identity, which is valid and does no harm.

constexpr int kChunk = 32;  // vectors; a multiple of kWays
constexpr int kChunkRows = kChunk * kLanes;
constexpr int kEntries = 8;
constexpr int kWindows = kDigits / 2;
constexpr int kTableWords = kWindows * 3 * kLimbs * kEntries;

struct Workspace {
  Extended points[kChunk];
  Extended others[kChunk];
  Halfway states[kChunk];
  Fe before[kChunk];  // products of the denominators before this one
  Fe encodings[kChunk];
  Cached multiples[kEntries];
  Word valid[kChunkRows];
  Word words[4 * kLanes];
  std::int8_t digits[kDigits * kLanes];
};

// One per call, and wiped at its end.
class Work {
 public:
  Work() : memory_((sizeof(Workspace) + sizeof(Word) - 1) / sizeof(Word)) {}
  Workspace& operator*() { return *reinterpret_cast<Workspace*>(memory_.data()); }

 private:
  native::Buffer memory_;
};

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }
inline int vectors_for(std::size_t rows) { return static_cast<int>((rows + kLanes - 1) / kLanes); }
// The same, up to a whole number of interleaved vectors.
inline int padded_vectors_for(std::size_t rows) { return (vectors_for(rows) + kWays - 1) / kWays * kWays; }

// words = 32 bytes of one row per lane; lanes from `rows` on become zero.
inline void read_vector(Word* words, const Byte* from, std::size_t step, std::size_t rows) {
  std::memset(words, 0, 4 * kLanes * sizeof(Word));
  for (std::size_t lane = 0; lane < smaller(rows, kLanes); ++lane) {
    Word row[4];
    std::memcpy(row, from + lane * step, sizeof row);
    for (int i = 0; i < 4; ++i) words[kLanes * i + lane] = row[i];
  }
}

inline void write_vector(Byte* out, const Word* words, const Word* valid, std::size_t rows) {
  for (std::size_t lane = 0; lane < smaller(rows, kLanes); ++lane) {
    Word row[4];
    for (int i = 0; i < 4; ++i) row[i] = words[kLanes * i + lane] & valid[lane];
    std::memcpy(out + lane * kRowBytes, row, sizeof row);
  }
}

// All ones where the words of a lane are below p and even, else zero.
inline Word canonical_and_even(const Word* words, int lane) {
  const Word top = words[3 * kLanes + lane];
  const bool below = top < ~Word{0} >> 1 || (top == ~Word{0} >> 1 && ((words[lane] < Word{0} - 19) |
                                                                     (words[kLanes + lane] != ~Word{0}) |
                                                                     (words[2 * kLanes + lane] != ~Word{0})));
  return below && (words[lane] & 1) == 0 ? ~Word{0} : 0;
}

// points, and valid &= whether each row is a valid encoding. What stands for one that is not is computed on, and never shown.
GROUP_TARGET void decode_rows(Workspace& work, Extended* points, const Byte* rows, std::size_t step, std::size_t count) {
  for (int at = 0; at < padded_vectors_for(count); at += kWays) {
    Fe s[kWays];
    Mask valid[kWays];
    for (int w = 0; w < kWays; ++w) {
      const std::size_t first = static_cast<std::size_t>(at + w) * kLanes;
      read_vector(work.words, rows + smaller(first, count) * step, step, count - smaller(first, count));
      for (int lane = 0; lane < kLanes; ++lane) work.valid[first + lane] &= canonical_and_even(work.words, lane);
      s[w] = from_words(work.words);
    }
    decode(valid, points + at, s);
    for (int w = 0; w < kWays; ++w) {
      Word* flags = work.valid + (at + w) * kLanes;
      store(flags, load(flags) & all_ones(valid[w]));
    }
  }
}

GROUP_TARGET void write_rows(Workspace& work, Byte* out, const Fe* encodings, std::size_t count) {
  for (int v = 0; v < vectors_for(count); ++v) {
    const std::size_t first = static_cast<std::size_t>(v) * kLanes;
    to_words(work.words, encodings[v]);
    write_vector(out + first * kRowBytes, work.words, work.valid + first, count - first);
  }
}

GROUP_TARGET void encode_rows(Workspace& work, Byte* out, std::size_t count) {
  for (int at = 0; at < padded_vectors_for(count); at += kWays) encode(work.encodings + at, work.points + at);
  write_rows(work, out, work.encodings, count);
}

// Encodes the doubles of the points whose `states` are given (Montgomery's trick: one inversion for all).
GROUP_TARGET void encode_doubled_rows(Workspace& work, Byte* out, std::size_t count) {
  const int vectors = vectors_for(count);
  Fe running = constant(kOne);
  for (int v = 0; v < vectors; ++v) {
    work.before[v] = running;
    running = multiply(running, work.states[v].denominator);
  }
  running = inverse(running);
  for (int v = vectors - 1; v >= 0; --v) {
    work.encodings[v] = encode_doubled(work.states[v], multiply(running, work.before[v]));
    running = multiply(running, work.states[v].denominator);
  }
  write_rows(work, out, work.encodings, count);
}

inline void accept_all(Workspace& work) { std::memset(work.valid, 0xff, sizeof work.valid); }

inline void read_digits(Workspace& work, const Byte* scalars, std::size_t step, std::size_t rows) {
  std::memset(work.digits, 0, sizeof work.digits);
  for (std::size_t lane = 0; lane < smaller(rows, kLanes); ++lane) half_digits(work.digits + lane, kLanes, scalars + lane * step);
}

// multiples[k − 1] = k·p.
GROUP_TARGET __attribute__((noinline)) void fill_multiples(Cached* multiples, const Extended& p) {
  const Mask plain = equal(all(0), all(1));
  Ready multiple = to_ready(p);
  multiples[0] = to_cached(multiple);
  for (int k = 1; k < kEntries; ++k) {
    multiple = to_ready(added(multiple, multiples[0], plain));
    multiples[k] = to_cached(multiple);
  }
}

// Reads every entry, whatever the digits are.
GROUP_INLINE Cached select_multiple(const Cached* multiples, V magnitude) {
  const Ready none = identity();
  Cached result = {none.sum, none.difference, carry(twice(widen(none.z))), none.t};
#pragma GCC unroll 8
  for (int k = 0; k < kEntries; ++k) {
    const Mask here = equal(magnitude, all(k + 1));
    result.sum = select(here, multiples[k].sum, result.sum);
    result.difference = select(here, multiples[k].difference, result.difference);
    result.twice_z = select(here, multiples[k].twice_z, result.twice_z);
    result.t_2d = select(here, multiples[k].t_2d, result.t_2d);
  }
  return result;
}

// p = 2p.
GROUP_TARGET __attribute__((noinline)) void double_in_place(Projective* p) { *p = to_projective(doubled(*p)); }

// The digits times the point of the multiples, from the most significant digit down: 252 doublings, 64 additions. Doublings
// are calls, so that the loop fits the instruction cache.
GROUP_TARGET __attribute__((noinline)) void climb(Extended* out, const Cached* multiples, const std::int8_t* digits) {
  Ready ready = identity();
  for (int i = kDigits - 1;; --i) {
    const Digit digit = load_digit(digits + i * kLanes);
    const Completed sum = added(ready, select_multiple(multiples, digit.magnitude), digit.negative);
    if (i == 0) {
      *out = to_extended(sum);
      return;
    }
    Projective p = to_projective(sum);
    for (int k = 0; k < 3; ++k) double_in_place(&p);
    ready = to_ready(doubled(p));
  }
}

GROUP_TARGET void multiply_points(Byte* out, const Byte* scalars, std::size_t scalar_step, const Byte* points,
                                  std::size_t point_step, std::size_t rows) {
  Work memory;
  Workspace& work = *memory;
  for (std::size_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = smaller(rows - first, kChunkRows);
    accept_all(work);
    decode_rows(work, work.points, points + first * point_step, point_step, count);
    for (int v = 0; v < vectors_for(count); ++v) {
      const std::size_t row = first + static_cast<std::size_t>(v) * kLanes;
      read_digits(work, scalars + row * scalar_step, scalar_step, rows - row);
      fill_multiples(work.multiples, work.points[v]);
      Extended product_of;
      climb(&product_of, work.multiples, work.digits);
      work.states[v] = halfway(product_of);
    }
    encode_doubled_rows(work, out + first * kRowBytes, count);
  }
}
