// What the two AVX-512 paths share: eight words in a register. Included once per path, after GROUP_TARGET and GROUP_INLINE.

typedef Word V __attribute__((vector_size(64)));
using Mask = __mmask8;
constexpr int kLanes = 8;
constexpr std::int8_t kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7};

GROUP_INLINE V choose(Mask mask, V a, V b) { return (V)_mm512_mask_mov_epi64((__m512i)b, mask, (__m512i)a); }
GROUP_INLINE Mask equal(V a, V b) { return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b); }
GROUP_INLINE Mask both(Mask a, Mask b) { return static_cast<Mask>(a & b); }
GROUP_INLINE Mask either(Mask a, Mask b) { return static_cast<Mask>(a | b); }
GROUP_INLINE Mask invert_mask(Mask a) { return static_cast<Mask>(~a); }
GROUP_INLINE V all_ones(Mask a) { return (V)_mm512_maskz_set1_epi64(a, -1); }

struct Digit {
  V magnitude;
  Mask negative;
};
GROUP_INLINE Digit load_digit(const std::int8_t* digits) {
  const __m512i digit = _mm512_cvtepi8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(digits)));
  return {(V)_mm512_abs_epi64(digit), _mm512_cmplt_epi64_mask(digit, _mm512_setzero_si512())};
}

// A permutation of one register: the addresses are the same for all indices.
GROUP_INLINE V look_up(const Word* eight, V index) {
  return (V)_mm512_permutexvar_epi64((__m512i)(index - Word{1}), _mm512_loadu_si512(eight));
}
