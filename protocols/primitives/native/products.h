// Products: of segments of rows, and of powers with short public weights (dot products in the exponent).
#pragma once

#include "exponentiation.h"

namespace native {

// out[i] = the product of a[starts[i]] .. a[starts[i + 1] - 1], for i < count; 1 for an empty segment.
void segment_products(const Arithmetic&, Word* out, Numbers a, const std::int64_t* starts, std::size_t count);

// Rows of weights: magnitudes are rows x n numbers below 2^bits, negative rows x n flags.
struct Weights {
  Numbers magnitudes;
  const bool* negative;
  std::size_t rows;
  int bits;
};

// positive[i] / negative[i] is the product of bases[j]^(+-magnitude[i][j]): by buckets (Pippenger), which suits many bases.
void bucket_powers(const Arithmetic&, Word* positive, Word* negative, Numbers bases, std::size_t n, const Weights& weights);

// out[i] is that product, by a table for each base (Straus), which suits few bases and many rows. inverses[j] is the inverse
// of bases[j]; it is not read where no weight of base j is negative.
void table_powers(const Arithmetic&, Word* out, Numbers bases, Numbers inverses, std::size_t n, const Weights& weights);

// Which of the two takes less time, by their numbers of multiplications (in groups of lanes).
bool prefers_tables(const Arithmetic&, std::size_t n, std::size_t rows, int weight_bits, bool any_negative);
double bucket_cost(const Arithmetic&, std::size_t n, std::size_t rows, int weight_bits, bool any_negative);
double table_cost(const Arithmetic&, std::size_t n, std::size_t rows, int weight_bits, bool any_negative);

// For tables of rows: residues in limbs to raw rows, and rows in Montgomery form back to limbs.
void load_rows(const Arithmetic&, Word* rows, Numbers numbers, std::size_t first, std::size_t count);
void store_rows(const Arithmetic&, Word* out, const Word* rows, std::size_t stride, std::size_t count);

}  // namespace native
