// The path for AVX-512F without IFMA: exact 52-bit products by two fused multiply-adds on doubles.
//
// With rounding towards zero, fma(x, y, 2^104) = 2^104 + 2^52 floor(x y / 2^52); what that leaves over follows from a
// second fma. The bit patterns of both are a known constant plus the wanted integer, so they are added as integers and the
// constants are taken out once a diagonal. (N. Emmart, J. Zheng, C. Weems, "Faster modular exponentiation using double
// precision floating point arithmetic on the GPU", ARITH 2018.)
#include "dispatch.h"
#include "kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace native {

namespace avx512 {

#define LANES_TARGET __attribute__((target("avx512f")))
#define LANES_INLINE LANES_TARGET __attribute__((always_inline)) static inline

struct Digits {
  static constexpr int max_tile = 6;
  using Operand = __m512d;
  static constexpr Word low_bias = 0x4330000000000000;   // the bits of 2^52
  static constexpr Word high_bias = 0x4670000000000000;  // the bits of 2^104
  static constexpr Word digit_mask = (Word{1} << 52) - 1;

  // A digit below 2^52 as the double of the same value.
  LANES_INLINE Operand operand(__m512i digit) {
    const __m512i shifted = _mm512_or_si512(digit, _mm512_set1_epi64(low_bias));
    return _mm512_sub_pd(_mm512_castsi512_pd(shifted), _mm512_set1_pd(0x1p52));
  }

  LANES_INLINE void multiply_add(__m512i& low, __m512i& high, Operand x, Operand y) {
    constexpr int truncate = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    const __m512d upper = _mm512_fmadd_round_pd(x, y, _mm512_set1_pd(0x1p104), truncate);
    const __m512d rest = _mm512_sub_pd(_mm512_set1_pd(0x1p104 + 0x1p52), upper);
    const __m512d lower = _mm512_fmadd_round_pd(x, y, rest, truncate);
    high = _mm512_add_epi64(high, _mm512_castpd_si512(upper));
    low = _mm512_add_epi64(low, _mm512_castpd_si512(lower));
  }

  LANES_INLINE void multiply_add_unbiased(__m512i& low, __m512i& high, Operand x, Operand y) {
    multiply_add(low, high, x, y);
    low = _mm512_sub_epi64(low, _mm512_set1_epi64(low_bias));
    high = _mm512_sub_epi64(high, _mm512_set1_epi64(high_bias));
  }

  // The low digit of column * constant.
  LANES_INLINE __m512i low_product(__m512i column, __m512i constant) {
    const __m512i mask = _mm512_set1_epi64(digit_mask);
    __m512i low = _mm512_setzero_si512();
    __m512i high = _mm512_setzero_si512();
    multiply_add(low, high, operand(_mm512_and_si512(column, mask)), operand(constant));
    return _mm512_and_si512(low, mask);
  }
};

#include "lanes.h"

#undef LANES_TARGET
#undef LANES_INLINE

}  // namespace avx512

Kernel avx512_kernel(int tile) { return avx512::make_kernel("avx512", tile); }

}  // namespace native

#endif
