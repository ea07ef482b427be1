// The path for AVX2: four rows at a time, 10 limbs of 25.5 bits, products of 32-bit halves.
#include "constants.h"
#include "group.h"
#include "scalar.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

namespace group {

namespace {

#define GROUP_TARGET __attribute__((target("avx2"))) static
#define GROUP_INLINE __attribute__((always_inline, target("avx2"))) static inline

typedef Word V __attribute__((vector_size(32)));
struct Mask {
  V bits;
};
constexpr int kLanes = 4;
constexpr int kLimbs = 10;
constexpr int kWays = 2;
constexpr std::int8_t kLaneNumbers[kLanes] = {0, 1, 2, 3};

GROUP_INLINE V choose(Mask mask, V a, V b) { return (V)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask.bits); }
GROUP_INLINE Mask equal(V a, V b) { return {(V)_mm256_cmpeq_epi64((__m256i)a, (__m256i)b)}; }
GROUP_INLINE Mask both(Mask a, Mask b) { return {a.bits & b.bits}; }
GROUP_INLINE Mask either(Mask a, Mask b) { return {a.bits | b.bits}; }
GROUP_INLINE Mask invert_mask(Mask a) { return {~a.bits}; }
GROUP_INLINE V all_ones(Mask a) { return a.bits; }

struct Digit {
  V magnitude;
  Mask negative;
};
GROUP_INLINE Digit load_digit(const std::int8_t* digits) {
  int four;
  std::memcpy(&four, digits, sizeof four);
  const __m256i digit = _mm256_cvtepi8_epi64(_mm_cvtsi32_si128(four));
  const __m256i negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), digit);
  return {(V)_mm256_sub_epi64(_mm256_xor_si256(digit, negative), negative), {(V)negative}};
}

// Reads all eight.
GROUP_INLINE V look_up(const Word* eight, V index) {
  V result = {};
#pragma GCC unroll 8
  for (Word k = 0; k < 8; ++k) result |= (V{} + eight[k]) & equal(index, V{} + (k + 1)).bits;
  return result;
}

#include "elements.h"

GROUP_INLINE V multiply_low(V a, V b) { return (V)_mm256_mul_epu32((__m256i)a, (__m256i)b); }

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

const Path& avx2_path() {
  static const Path path = make_path("avx2");
  return path;
}

}  // namespace group

#endif
