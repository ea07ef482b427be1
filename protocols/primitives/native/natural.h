// The few operations on whole numbers that preparing a modulus needs. Little-endian 64-bit limbs; slow and simple.
#pragma once

#include <vector>

#include "memory.h"

namespace native {

using Natural = std::vector<Word>;

int bit_length(const Natural& x);

// 2^exponent mod n, at the width of n; n > 1 with a top limb that is not zero.
Natural power_of_two_mod(int exponent, const Natural& n);

// floor(2^exponent / n).
Natural power_of_two_over(int exponent, const Natural& n);

// x - y at the width of x; x >= y.
Natural difference(const Natural& x, const Natural& y);

// x cut into `count` digits of digit_bits bits.
std::vector<Word> to_digits(const Natural& x, int digit_bits, int count);

// -n^-1 mod 2^64 for an odd n.
Word negated_inverse(Word n);

}  // namespace native
