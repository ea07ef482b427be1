// Scalars as digits. Both steps run the same operations on the same addresses for every scalar.
#pragma once

#include "group.h"

namespace group {

// digits[i · stride], i = 0..63, in [−8, 8]: Σ digit_i · 16^i ≡ scalar/2 modulo the order. All points are doubled when they
// are encoded (see batch.h), so the schedules work with half the scalar.
void half_digits(std::int8_t* digits, std::size_t stride, const Byte* scalar);

}  // namespace group
