// The path for AVX-512 with IFMA: eight rows at a time, 5 limbs of 51 bits, products by 52-bit multiply-adds.
#include "constants.h"
#include "group.h"
#include "scalar.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

namespace group {

namespace {

#define GROUP_TARGET __attribute__((target("avx512f,avx512dq,avx512ifma"))) static
#define GROUP_INLINE __attribute__((always_inline, target("avx512f,avx512dq,avx512ifma"))) static inline

constexpr int kLimbs = 5;
constexpr int kWays = 2;

#include "vector512.h"
#include "elements.h"

struct Wide {
  V v[kLimbs];
};

GROUP_INLINE V add_low(V sum, V a, V b) { return (V)_mm512_madd52lo_epu64((__m512i)sum, (__m512i)a, (__m512i)b); }
GROUP_INLINE V add_high(V sum, V a, V b) { return (V)_mm512_madd52hi_epu64((__m512i)sum, (__m512i)a, (__m512i)b); }

// Products are cut at bit 52, limbs at bit 51: the high part of a product counts twice in the next column.
//
// Bounds: limbs of an Fe are below 2^51 + 2^16. A low part is below 2^52, a high part at most 2^50 + 2^16: ten columns of at
// most 5 · 2^52 + 2 · 5 · 2^50 < 2^55, and 20 of those after the fold: below 2^59.4. `minus` adds p · 2^10, about 2^61 a column.
// The largest sum, in the doubling of a point, is below 2^61 + 3 · 2^59.4 < 2^62.2: carries below 2^11.2, and limb 0 receives
// 19 of them, below 2^15.5.
GROUP_INLINE Wide product(const Fe& a, const Fe& b) {
  V low[2 * kLimbs] = {};
  V high[2 * kLimbs] = {};
#pragma GCC unroll 5
  for (int i = 0; i < kLimbs; ++i) {
#pragma GCC unroll 5
    for (int j = 0; j < kLimbs; ++j) {
      low[i + j] = add_low(low[i + j], a.v[i], b.v[j]);
      high[i + j + 1] = add_high(high[i + j + 1], a.v[i], b.v[j]);
    }
  }
  Wide result;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) {
    const V above = low[k + kLimbs] + (high[k + kLimbs] << 1);
    result.v[k] = low[k] + (high[k] << 1) + above * Word{19};
  }
  return result;
}

// Columns by weight: low parts of squares count once, low parts of the other products and high parts of squares twice, high
// parts of the other products four times.
GROUP_INLINE Wide square(const Fe& a) {
  V once[2 * kLimbs] = {};
  V two[2 * kLimbs] = {};
  V four[2 * kLimbs] = {};
#pragma GCC unroll 5
  for (int i = 0; i < kLimbs; ++i) {
    once[2 * i] = add_low(once[2 * i], a.v[i], a.v[i]);
    two[2 * i + 1] = add_high(two[2 * i + 1], a.v[i], a.v[i]);
#pragma GCC unroll 5
    for (int j = i + 1; j < kLimbs; ++j) {
      two[i + j] = add_low(two[i + j], a.v[i], a.v[j]);
      four[i + j + 1] = add_high(four[i + j + 1], a.v[i], a.v[j]);
    }
  }
  V column[2 * kLimbs];
#pragma GCC unroll 10
  for (int k = 0; k < 2 * kLimbs; ++k) column[k] = once[k] + ((two[k] + (four[k] << 1)) << 1);
  Wide result;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) result.v[k] = column[k] + column[k + kLimbs] * Word{19};
  return result;
}

GROUP_INLINE Wide plus(const Wide& a, const Wide& b) {
  Wide result;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + b.v[k];
  return result;
}
GROUP_INLINE Wide minus(const Wide& a, const Wide& b) {
  Wide result;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + (limb_of_p(k) << 10) - b.v[k];
  return result;
}
GROUP_INLINE Wide twice(const Wide& a) { return plus(a, a); }
GROUP_INLINE Wide widen(const Fe& a) { return {{a.v[0], a.v[1], a.v[2], a.v[3], a.v[4]}}; }

// All columns at once: what a carry adds to the next limb is small enough to stay there.
GROUP_INLINE Fe carry(const Wide& a) {
  Fe result;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] & limb_mask(k);
#pragma GCC unroll 5
  for (int k = 1; k < kLimbs; ++k) result.v[k] += a.v[k - 1] >> 51;
  result.v[0] = add_low(result.v[0], a.v[kLimbs - 1] >> 51, all(19));
  return result;
}

#include "field.h"
#include "point.h"
#include "batch.h"
#include "fixed.h"
#include "signature.h"
#include "agreement.h"

#undef GROUP_TARGET
#undef GROUP_INLINE

}  // namespace

const Path& ifma_path() {
  static const Path path = make_path("ifma");
  return path;
}

}  // namespace group

#endif
