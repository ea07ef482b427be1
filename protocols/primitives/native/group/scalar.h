// Scalars as digits, and the scalars of signatures. What takes a secret runs the same operations on the same addresses for all.
#pragma once

#include "group.h"

namespace group {

// digits[i · stride], i = 0..63, in [−8, 8]: Σ digit_i · 16^i ≡ scalar/2 modulo the order. All points are doubled when they
// are encoded (see batch.h), so the schedules work with half the scalar.
void half_digits(std::int8_t* digits, std::size_t stride, const Byte* scalar);

// The same of a scalar below 2^255 itself, as an integer: for points that need not be of the order's group.
void whole_digits(std::int8_t* digits, std::size_t stride, const Byte* scalar);

// Whether 32 bytes, little-endian, are below the order. For public ones: it stops at the first word that differs.
bool is_below_order(const Byte* scalar);

// scalar = 64 bytes, little-endian, modulo the order. For public ones.
void reduce(Byte* scalar, const Byte* wide);

}  // namespace group
