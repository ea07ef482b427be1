// The path for AVX-512F without IFMA: eight rows at a time, 10 limbs of 25.5 bits, products of 32-bit halves.
#include "constants.h"
#include "group.h"
#include "scalar.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

namespace group {

namespace {

#define GROUP_TARGET __attribute__((target("avx512f"))) static
#define GROUP_INLINE __attribute__((always_inline, target("avx512f"))) static inline

constexpr int kLimbs = 10;
constexpr int kWays = 2;

#include "vector512.h"
#include "elements.h"

GROUP_INLINE V multiply_low(V a, V b) { return (V)_mm512_mul_epu32((__m512i)a, (__m512i)b); }

#include "products25.h"
#include "field.h"
#include "point.h"
#include "batch.h"
#include "fixed.h"
#include "signature.h"
#include "agreement.h"

#undef GROUP_TARGET
#undef GROUP_INLINE

}  // namespace

const Path& avx512_path() {
  static const Path path = make_path("avx512");
  return path;
}

}  // namespace group

#endif
