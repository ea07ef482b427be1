// The path for AVX-512 with IFMA: the low and high half of a 52-bit product are added in one instruction each.
#include "dispatch.h"
#include "kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace native {

namespace ifma {

#define LANES_TARGET __attribute__((target("avx512f,avx512ifma")))
#define LANES_INLINE LANES_TARGET __attribute__((always_inline)) static inline

struct Digits {
  static constexpr int max_tile = 10;
  using Operand = __m512i;
  static constexpr Word low_bias = 0;
  static constexpr Word high_bias = 0;

  LANES_INLINE Operand operand(__m512i digit) { return digit; }

  LANES_INLINE void multiply_add(__m512i& low, __m512i& high, Operand x, Operand y) {
    low = _mm512_madd52lo_epu64(low, x, y);
    high = _mm512_madd52hi_epu64(high, x, y);
  }

  LANES_INLINE void multiply_add_unbiased(__m512i& low, __m512i& high, Operand x, Operand y) { multiply_add(low, high, x, y); }

  // The low digit of column * constant.
  LANES_INLINE __m512i low_product(__m512i column, __m512i constant) {
    return _mm512_madd52lo_epu64(_mm512_setzero_si512(), column, constant);
  }
};

#include "lanes.h"

#undef LANES_TARGET
#undef LANES_INLINE

}  // namespace ifma

Kernel ifma_kernel(int tile) { return ifma::make_kernel("ifma", tile); }

}  // namespace native

#endif
