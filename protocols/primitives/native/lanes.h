// Kernels on eight numbers at a time, digits of 52 bits in the lanes of 512-bit registers.
//
// Included once per instruction set, inside that set's own namespace, after these are defined:
//   LANES_TARGET   the target attribute that every function here carries, so that the rest of the program needs no such CPU
//   LANES_INLINE   the same, always inlined
//   struct Digits  the digit arithmetic: operand, multiply_add, multiply_add_unbiased, low_product, and the constants
//                  low_bias and high_bias that one multiply_add leaves in the two columns, and max_tile, which the
//                  registers allow: 2T columns, T digits of one factor, one of the other
// There is no include guard on purpose.

constexpr int kLanes = 8;
constexpr int kDigitBits = 52;
constexpr Word kDigitMask = (Word{1} << kDigitBits) - 1;

LANES_INLINE __m512i load(const Word* words) { return _mm512_loadu_si512(words); }
LANES_INLINE void store(Word* words, __m512i value) { _mm512_storeu_si512(words, value); }
LANES_INLINE __m512i all(Word word) { return _mm512_set1_epi64(static_cast<long long>(word)); }
LANES_INLINE __m512i add(__m512i x, __m512i y) { return _mm512_add_epi64(x, y); }

// acc[0..2T) += x[0..T) * y[0..T), in columns of unnormalised digits.
template <int T>
LANES_INLINE void tile(__m512i* acc, const Word* x, const Word* y) {
  typename Digits::Operand factor[T];
#pragma GCC unroll 24
  for (int i = 0; i < T; ++i) factor[i] = Digits::operand(load(x + kLanes * i));
#pragma GCC unroll 24
  for (int j = 0; j < T; ++j) {
    const typename Digits::Operand digit = Digits::operand(load(y + kLanes * j));
#pragma GCC unroll 24
    for (int i = 0; i < T; ++i) Digits::multiply_add(acc[i + j], acc[i + j + 1], factor[i], digit);
  }
}

// The same where y is one constant for all lanes.
template <int T>
LANES_INLINE void tile_constant(__m512i* acc, const Word* x, const Word* y) {
  typename Digits::Operand factor[T];
#pragma GCC unroll 24
  for (int i = 0; i < T; ++i) factor[i] = Digits::operand(load(x + kLanes * i));
#pragma GCC unroll 24
  for (int j = 0; j < T; ++j) {
    const typename Digits::Operand digit = Digits::operand(all(y[j]));
#pragma GCC unroll 24
    for (int i = 0; i < T; ++i) Digits::multiply_add(acc[i + j], acc[i + j + 1], factor[i], digit);
  }
}

// acc += the products x[i] x[j] with i < j; doubled afterwards, they are the square but for its diagonal.
template <int T>
LANES_INLINE void tile_above_diagonal(__m512i* acc, const Word* x) {
#pragma GCC unroll 24
  for (int j = 1; j < T; ++j) {
    const typename Digits::Operand digit = Digits::operand(load(x + kLanes * j));
#pragma GCC unroll 24
    for (int i = 0; i < j; ++i) {
      Digits::multiply_add_unbiased(acc[i + j], acc[i + j + 1], Digits::operand(load(x + kLanes * i)), digit);
    }
  }
}

template <int T>
LANES_INLINE void tile_diagonal(__m512i* acc, const Word* x) {
#pragma GCC unroll 24
  for (int i = 0; i < T; ++i) {
    const typename Digits::Operand digit = Digits::operand(load(x + kLanes * i));
    Digits::multiply_add_unbiased(acc[2 * i], acc[2 * i + 1], digit, digit);
  }
}

// Chooses m[0..T) so that acc + m n vanishes in its low T columns; their carries go into acc[T].
template <int T>
LANES_INLINE void cancel(__m512i* acc, Word* m, const Word* n, Word negated_inverse) {
  const __m512i inverse = all(negated_inverse);
#pragma GCC unroll 24
  for (int k = 0; k < T; ++k) {
    const __m512i digit = Digits::low_product(acc[k], inverse);
    store(m + kLanes * k, digit);
    const typename Digits::Operand factor = Digits::operand(digit);
#pragma GCC unroll 24
    for (int i = 0; i < T; ++i) Digits::multiply_add_unbiased(acc[k + i], acc[k + i + 1], factor, Digits::operand(all(n[i])));
    acc[k + 1] = add(acc[k + 1], _mm512_srli_epi64(acc[k], kDigitBits));
  }
}

// Writes the low T columns as digits in range; the carry goes into acc[T].
template <int T>
LANES_INLINE void emit(Word* out, __m512i* acc) {
  const __m512i mask = all(kDigitMask);
#pragma GCC unroll 24
  for (int k = 0; k < T; ++k) {
    store(out + kLanes * k, _mm512_and_si512(acc[k], mask));
    acc[k + 1] = add(acc[k + 1], _mm512_srli_epi64(acc[k], kDigitBits));
  }
}

// Takes from acc[0..2T) what `tiles` calls of `tile` leave there beside the products.
template <int T>
LANES_INLINE void remove_bias(__m512i* acc, int tiles) {
  if (Digits::low_bias == 0) return;
#pragma GCC unroll 24
  for (int c = 0; c < 2 * T; ++c) {
    const Word lows = c <= 2 * T - 2 ? (c < T ? c + 1 : 2 * T - 1 - c) : 0;
    const Word highs = c >= 1 ? (c - 1 < T ? c : 2 * T - c) : 0;
    acc[c] = _mm512_sub_epi64(acc[c], all(static_cast<Word>(tiles) * (lows * Digits::low_bias + highs * Digits::high_bias)));
  }
}

template <int T>
LANES_INLINE void clear(__m512i* acc) {
#pragma GCC unroll 24
  for (int c = 0; c < 2 * T; ++c) acc[c] = _mm512_setzero_si512();
}

template <int T>
LANES_INLINE void double_columns(__m512i* acc) {
#pragma GCC unroll 24
  for (int c = 0; c < 2 * T; ++c) acc[c] = add(acc[c], acc[c]);
}

enum class Shape { product, two_products, square, doubled_product };

// The Montgomery products of kernel.h. Tiles of one diagonal s = I + J share their 2T columns, so sums stay in registers
// over a whole diagonal; the upper T columns are handed on to the next one.
template <int T, Shape shape>
LANES_TARGET void reduce(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Word* c, const Word* d,
                         const Ring& ring) {
  constexpr int step = kLanes * T;
  const int tiles = ring.digits / T;
  const Word* n = ring.n.data();
  __m512i above[T];
#pragma GCC unroll 24
  for (int k = 0; k < T; ++k) above[k] = _mm512_setzero_si512();
  for (int s = 0; s < 2 * tiles; ++s) {
    const int first = s < tiles ? 0 : s - tiles + 1;
    const int last = s < tiles ? s : tiles - 1;
    int count = 0;  // tiles whose bias is still in acc
    __m512i acc[2 * T];
    clear<T>(acc);
    if constexpr (shape == Shape::square) {
      int i = first;
      for (; 2 * i < s; ++i, count += 2) tile<T>(acc, a + step * i, a + step * (s - i));
      const bool has_diagonal = 2 * i == s;
      if (has_diagonal) tile_above_diagonal<T>(acc, a + step * i);
      double_columns<T>(acc);
      if (has_diagonal) tile_diagonal<T>(acc, a + step * i);
    } else {
      for (int i = first; i <= last; ++i, ++count) tile<T>(acc, a + step * i, b + step * (s - i));
      if constexpr (shape == Shape::two_products) {
        for (int i = first; i <= last; ++i, ++count) tile<T>(acc, c + step * i, d + step * (s - i));
      }
      if constexpr (shape == Shape::doubled_product) {
        double_columns<T>(acc);
        count *= 2;
      }
    }
    const int known = s < tiles ? s - 1 : last;
    for (int i = first; i <= known; ++i, ++count) tile_constant<T>(acc, m + step * i, n + T * (s - i));
    remove_bias<T>(acc, count);
#pragma GCC unroll 24
    for (int k = 0; k < T; ++k) acc[k] = add(acc[k], above[k]);
    if (s < tiles) {
      if (init != nullptr) {
#pragma GCC unroll 24
        for (int k = 0; k < T; ++k) acc[k] = add(acc[k], load(init + step * s + kLanes * k));
      }
      cancel<T>(acc, m + step * s, n, ring.negated_inverse);
    } else {
      emit<T>(out + step * (s - tiles), acc);
    }
#pragma GCC unroll 24
    for (int k = 0; k < T; ++k) above[k] = acc[T + k];
  }
}

template <int T>
LANES_TARGET void reduce_product(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring& ring, Word*) {
  reduce<T, Shape::product>(out, m, init, a, b, nullptr, nullptr, ring);
}

template <int T>
LANES_TARGET void reduce_two_products(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Word* c,
                                      const Word* d, const Ring& ring, Word*) {
  reduce<T, Shape::two_products>(out, m, init, a, b, c, d, ring);
}

template <int T>
LANES_TARGET void reduce_square(Word* out, Word* m, const Word* init, const Word* a, const Ring& ring, Word*) {
  reduce<T, Shape::square>(out, m, init, a, nullptr, nullptr, nullptr, ring);
}

template <int T>
LANES_TARGET void reduce_doubled_product(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring& ring,
                                         Word*) {
  reduce<T, Shape::doubled_product>(out, m, init, a, b, nullptr, nullptr, ring);
}

template <int T>
LANES_TARGET void wide_product(Word* out, const Word* init, const Word* a, const Word* constant, int h) {
  constexpr int step = kLanes * T;
  const int tiles = h / T;
  __m512i above[T];
#pragma GCC unroll 24
  for (int k = 0; k < T; ++k) above[k] = _mm512_setzero_si512();
  for (int s = 0; s < 2 * tiles; ++s) {
    const int first = s < tiles ? 0 : s - tiles + 1;
    const int last = s < tiles ? s : tiles - 1;
    __m512i acc[2 * T];
    clear<T>(acc);
    for (int i = first; i <= last; ++i) tile_constant<T>(acc, a + step * i, constant + T * (s - i));
    remove_bias<T>(acc, last - first + 1);
#pragma GCC unroll 24
    for (int k = 0; k < T; ++k) {
      acc[k] = add(acc[k], above[k]);
      if (init != nullptr && s < tiles) acc[k] = add(acc[k], load(init + step * s + kLanes * k));
    }
    emit<T>(out + step * s, acc);
#pragma GCC unroll 24
    for (int k = 0; k < T; ++k) above[k] = acc[T + k];
  }
}

LANES_TARGET void complement(Word* out, const Word* m, const Ring& ring) {
  for (int i = 0; i < ring.digits; ++i) {
    store(out + kLanes * i, _mm512_sub_epi64(all(ring.bound[i]), load(m + kLanes * i)));
  }
}

LANES_TARGET void subtract(Word* out, const Word* x, const Word* y, int h) {
  __m512i carry = _mm512_setzero_si512();
  for (int i = 0; i < h; ++i) {
    const __m512i digit = add(_mm512_sub_epi64(load(x + kLanes * i), load(y + kLanes * i)), carry);
    store(out + kLanes * i, _mm512_and_si512(digit, all(kDigitMask)));
    carry = _mm512_srai_epi64(digit, kDigitBits);
  }
}

LANES_TARGET void accumulate(Word* sum, const Word* y, int h) {
  for (int i = 0; i < h; ++i) store(sum + kLanes * i, add(load(sum + kLanes * i), load(y + kLanes * i)));
}

LANES_TARGET void normalise(Word* sum, int h) {
  __m512i carry = _mm512_setzero_si512();
  for (int i = 0; i < h; ++i) {
    const __m512i digit = add(load(sum + kLanes * i), carry);
    store(sum + kLanes * i, _mm512_and_si512(digit, all(kDigitMask)));
    carry = _mm512_srli_epi64(digit, kDigitBits);
  }
}

LANES_TARGET void conditional_subtract(Word* x, const Word* constant, int digits, Word* scratch) {
  __m512i carry = _mm512_setzero_si512();
  for (int i = 0; i < digits; ++i) {
    const __m512i digit = add(_mm512_sub_epi64(load(x + kLanes * i), all(constant[i])), carry);
    store(scratch + kLanes * i, _mm512_and_si512(digit, all(kDigitMask)));
    carry = _mm512_srai_epi64(digit, kDigitBits);
  }
  const __mmask8 not_below = _mm512_cmpeq_epi64_mask(carry, _mm512_setzero_si512());
  for (int i = 0; i < digits; ++i) _mm512_mask_storeu_epi64(x + kLanes * i, not_below, load(scratch + kLanes * i));
}

// Transposes an 8 x 8 square of words.
LANES_INLINE void transpose(__m512i* r) {
  __m512i pairs[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
  }
  __m512i quads[8];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      quads[4 * i + j] = _mm512_shuffle_i64x2(pairs[4 * i + j], pairs[4 * i + 2 + j], 0x88);
      quads[4 * i + 2 + j] = _mm512_shuffle_i64x2(pairs[4 * i + j], pairs[4 * i + 2 + j], 0xdd);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i64x2(quads[i], quads[4 + i], 0x88);
    r[4 + i] = _mm512_shuffle_i64x2(quads[i], quads[4 + i], 0xdd);
  }
}

LANES_INLINE __mmask8 first_words(int words) { return static_cast<__mmask8>(words >= 8 ? 0xff : (1 << words) - 1); }

LANES_TARGET void from_rows(Word* block, const Word* const* rows, int words) {
  for (int i = 0; i < words; i += 8) {
    const __mmask8 mask = first_words(words - i);
    __m512i square[8];
#pragma GCC unroll 24
    for (int l = 0; l < 8; ++l) square[l] = _mm512_maskz_loadu_epi64(mask, rows[l] + i);
    transpose(square);
#pragma GCC unroll 24
    for (int k = 0; k < 8; ++k) {
      if (i + k < words) store(block + kLanes * (i + k), square[k]);
    }
  }
}

LANES_TARGET void to_rows(Word* const* rows, const Word* block, int words) {
  for (int i = 0; i < words; i += 8) {
    const __mmask8 mask = first_words(words - i);
    __m512i square[8];
#pragma GCC unroll 24
    for (int k = 0; k < 8; ++k) square[k] = i + k < words ? load(block + kLanes * (i + k)) : _mm512_setzero_si512();
    transpose(square);
#pragma GCC unroll 24
    for (int l = 0; l < 8; ++l) {
      if (rows[l] != nullptr) _mm512_mask_storeu_epi64(rows[l] + i, mask, square[l]);
    }
  }
}

LANES_TARGET void unpack(Word* block, const Word* limbs, int limb_count, int bit_offset, int digits) {
  for (int i = 0; i < digits; ++i) {
    const int bit = bit_offset + kDigitBits * i;
    const int limb = bit / 64;
    const int shift = bit % 64;
    __m512i digit = _mm512_setzero_si512();
    if (limb < limb_count) digit = _mm512_srl_epi64(load(limbs + kLanes * limb), _mm_cvtsi32_si128(shift));
    if (shift > 64 - kDigitBits && limb + 1 < limb_count) {
      digit = _mm512_or_si512(digit, _mm512_sll_epi64(load(limbs + kLanes * (limb + 1)), _mm_cvtsi32_si128(64 - shift)));
    }
    store(block + kLanes * i, _mm512_and_si512(digit, all(kDigitMask)));
  }
}

LANES_TARGET void pack(Word* limbs, int limb_count, const Word* block, int digits) {
  for (int i = 0; i < limb_count; ++i) {
    // A limb takes the upper part of the digit that its lowest bit falls into, and one or two digits more.
    int digit = 64 * i / kDigitBits;
    const int skip = 64 * i % kDigitBits;
    __m512i limb = _mm512_setzero_si512();
    if (digit < digits) limb = _mm512_srl_epi64(load(block + kLanes * digit), _mm_cvtsi32_si128(skip));
    for (int filled = kDigitBits - skip; filled < 64 && ++digit < digits; filled += kDigitBits) {
      limb = _mm512_or_si512(limb, _mm512_sll_epi64(load(block + kLanes * digit), _mm_cvtsi32_si128(filled)));
    }
    store(limbs + kLanes * i, limb);
  }
}

LANES_TARGET void select(Word* out, const Word* table, int entries, const std::uint32_t* index, int words) {
  const __m512i wanted = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
  // Eight words of the result at a time stay in registers while the whole table passes.
  for (int i = 0; i < words; i += 8 * kLanes) {
    const int parts = words - i < 8 * kLanes ? (words - i) / kLanes : 8;
    __m512i found[8];
#pragma GCC unroll 24
    for (int k = 0; k < 8; ++k) found[k] = _mm512_setzero_si512();
    for (int entry = 0; entry < entries; ++entry) {
      const __mmask8 here = _mm512_cmpeq_epi64_mask(wanted, all(static_cast<Word>(entry)));
      const Word* row = table + static_cast<std::size_t>(entry) * words + i;
      if (parts == 8) {
#pragma GCC unroll 24
        for (int k = 0; k < 8; ++k) found[k] = _mm512_mask_loadu_epi64(found[k], here, row + kLanes * k);
      } else {
        for (int k = 0; k < parts; ++k) found[k] = _mm512_mask_loadu_epi64(found[k], here, row + kLanes * k);
      }
    }
    for (int k = 0; k < parts; ++k) store(out + i + kLanes * k, found[k]);
  }
}

template <int T>
Kernel kernel_with_tile(const char* path) {
  return {path, kLanes, kDigitBits, T, true, reduce_product<T>, reduce_two_products<T>, reduce_square<T>,
          reduce_doubled_product<T>, complement, wide_product<T>, subtract, accumulate, normalise, conditional_subtract,
          from_rows, to_rows, unpack, pack, select};
}

// The kernel with the largest tile that is not above `tile`.
template <int T = Digits::max_tile>
Kernel make_kernel(const char* path, int tile) {
  if constexpr (T > kMinTile) {
    if (tile < T) return make_kernel<T - 1>(path, tile);
  }
  return kernel_with_tile<T>(path);
}
