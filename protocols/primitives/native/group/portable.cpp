// The path for any processor with a 128-bit product: one row at a time, 5 limbs of 51 bits.
#include <cstring>

#include "constants.h"
#include "group.h"
#include "scalar.h"

namespace group {

namespace {

#define GROUP_TARGET static
#define GROUP_INLINE __attribute__((always_inline)) static inline

using V = Word;
using Mask = Word;
constexpr int kLanes = 1;
constexpr int kLimbs = 5;
constexpr int kWays = 1;
constexpr std::int8_t kLaneNumbers[kLanes] = {0};

GROUP_INLINE V choose(Mask mask, V a, V b) { return b ^ (mask & (a ^ b)); }
GROUP_INLINE Mask equal(V a, V b) {
  const Word difference = a ^ b;
  return ((difference | (Word{0} - difference)) >> 63) - 1;
}
GROUP_INLINE Mask both(Mask a, Mask b) { return a & b; }
GROUP_INLINE Mask either(Mask a, Mask b) { return a | b; }
GROUP_INLINE Mask invert_mask(Mask a) { return ~a; }
GROUP_INLINE V all_ones(Mask a) { return a; }

#include "elements.h"

using Column = unsigned __int128;
struct Wide {
  Column v[kLimbs];
};

// Limbs of an Fe are below 2^51 + 2^14, so columns of a product are below 2^109, and so are their fellows of `minus` below
// 2^113: the first carries fit a word.
GROUP_INLINE Wide product(const Fe& a, const Fe& b) {
  Wide result = {};
#pragma GCC unroll 5
  for (int i = 0; i < kLimbs; ++i) {
#pragma GCC unroll 5
    for (int j = 0; j < kLimbs; ++j) {
      const int k = i + j;
      result.v[k % kLimbs] += static_cast<Column>(a.v[i]) * (k < kLimbs ? b.v[j] : 19 * b.v[j]);
    }
  }
  return result;
}

GROUP_INLINE Wide square(const Fe& a) {
  Wide result = {};
#pragma GCC unroll 5
  for (int i = 0; i < kLimbs; ++i) {
#pragma GCC unroll 5
    for (int j = i; j < kLimbs; ++j) {
      const int k = i + j;
      result.v[k % kLimbs] += static_cast<Column>(i == j ? a.v[i] : 2 * a.v[i]) * (k < kLimbs ? a.v[j] : 19 * a.v[j]);
    }
  }
  return result;
}

GROUP_INLINE Wide plus(const Wide& a, const Wide& b) {
  Wide result;
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + b.v[k];
  return result;
}
GROUP_INLINE Wide minus(const Wide& a, const Wide& b) {
  Wide result;
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + (static_cast<Column>(limb_of_p(k)) << 60) - b.v[k];
  return result;
}
GROUP_INLINE Wide twice(const Wide& a) { return plus(a, a); }
GROUP_INLINE Wide widen(const Fe& a) { return {{a.v[0], a.v[1], a.v[2], a.v[3], a.v[4]}}; }

GROUP_INLINE Fe carry(const Wide& a) {
  Fe result;
  Column over = 0;
#pragma GCC unroll 5
  for (int k = 0; k < kLimbs; ++k) {
    const Column column = a.v[k] + over;
    result.v[k] = static_cast<Word>(column) & limb_mask(k);
    over = static_cast<Word>(column >> 51);
  }
  const Column first = over * 19 + result.v[0];
  result.v[0] = static_cast<Word>(first) & limb_mask(0);
  result.v[1] += static_cast<Word>(first >> 51);
  return result;
}

struct Digit {
  V magnitude;
  Mask negative;
};
GROUP_INLINE Digit load_digit(const std::int8_t* digits) {
  const std::int64_t digit = digits[0];
  const Word negative = static_cast<Word>(digit >> 63);
  return {(static_cast<Word>(digit) ^ negative) - negative, negative};
}
GROUP_INLINE V look_up(const Word* eight, V index) {
  V result = 0;
  for (int k = 0; k < 8; ++k) result |= eight[k] & equal(index, static_cast<Word>(k) + 1);
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

const Path& portable_path() {
  static const Path path = make_path("portable");
  return path;
}

}  // namespace group
