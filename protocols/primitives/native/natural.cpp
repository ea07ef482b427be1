#include "natural.h"

#include <algorithm>

namespace native {

namespace {

// x - y if that is not negative, else x; both at one width. `above` is a bit above the top limb of x.
bool subtract_if_possible(Natural& x, const Natural& y, Word above) {
  Natural rest(x.size());
  Word borrow = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Word partial = x[i] - y[i];
    const Word under = x[i] < y[i];
    rest[i] = partial - borrow;
    borrow = under | static_cast<Word>(partial < borrow);
  }
  if (borrow > above) return false;
  x = std::move(rest);
  return true;
}

// x = 2 x mod n; returns whether n was taken away.
bool double_mod(Natural& x, const Natural& n) {
  Word carry = 0;
  for (Word& limb : x) {
    const Word above = limb >> 63;
    limb = limb << 1 | carry;
    carry = above;
  }
  return subtract_if_possible(x, n, carry);
}

}  // namespace

int bit_length(const Natural& x) {
  for (std::size_t i = x.size(); i-- > 0;) {
    if (x[i] == 0) continue;
    int bits = 0;
    for (Word top = x[i]; top != 0; top >>= 1) ++bits;
    return static_cast<int>(64 * i) + bits;
  }
  return 0;
}

Natural power_of_two_mod(int exponent, const Natural& n) {
  Natural x(n.size(), 0);
  x[0] = 1;
  for (int i = 0; i < exponent; ++i) double_mod(x, n);
  return x;
}

Natural power_of_two_over(int exponent, const Natural& n) {
  // Long division of the digits 1, 0, 0, ...: the remainder doubles, and each subtraction is a bit of the quotient.
  Natural quotient(static_cast<std::size_t>(exponent) / 64 + 1, 0);
  Natural rest(n.size(), 0);
  rest[0] = 1;
  for (int bit = exponent - 1; bit >= 0; --bit) {
    if (double_mod(rest, n)) quotient[bit / 64] |= Word{1} << (bit % 64);
  }
  return quotient;
}

Natural difference(const Natural& x, const Natural& y) {
  Natural result = x;
  Natural other = y;
  other.resize(x.size(), 0);
  subtract_if_possible(result, other, 0);
  return result;
}

std::vector<Word> to_digits(const Natural& x, int digit_bits, int count) {
  std::vector<Word> digits(count, 0);
  const Word mask = digit_bits == 64 ? ~Word{0} : (Word{1} << digit_bits) - 1;
  for (int i = 0; i < count; ++i) {
    const std::size_t limb = static_cast<std::size_t>(i) * digit_bits / 64;
    const int shift = static_cast<int>(static_cast<std::size_t>(i) * digit_bits % 64);
    if (limb >= x.size()) break;
    Word digit = x[limb] >> shift;
    if (shift != 0 && limb + 1 < x.size()) digit |= x[limb + 1] << (64 - shift);
    digits[i] = digit & mask;
  }
  return digits;
}

Word negated_inverse(Word n) {
  // Newton's iteration doubles the correct low bits; an odd number is its own inverse modulo 8.
  Word inverse = n;
  for (int i = 0; i < 5; ++i) inverse *= 2 - n * inverse;
  return 0 - inverse;
}

}  // namespace native
