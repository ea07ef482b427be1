// Products: of segments of rows, and of powers with short public weights (dot products in the exponent).
#pragma once

#include "exponentiation.h"

namespace native {

// out[i] = the product of a[starts[i]] .. a[starts[i + 1] - 1], for i < count; 1 for an empty segment.
void segment_products(const Arithmetic&, Word* out, Numbers a, const std::int64_t* starts, std::size_t count);

// positive[i] / negative[i] is wanted: for each of `rows` rows of weights, the product of bases[j]^weight[i][j] over the j with
// a non-negative sign, and over the others. magnitudes: rows x n numbers below 2^weight_bits; signs: rows x n.
void multi_power(const Arithmetic&, Word* positive, Word* negative, Numbers bases, std::size_t n, Numbers magnitudes,
                 const bool* signs, std::size_t rows, int weight_bits);

}  // namespace native
