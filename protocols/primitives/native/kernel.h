// The operations that one instruction set provides, on numbers cut into digits. Everything above is written once.
//
// A *block* holds one number per lane, transposed: digit i of lane l is word i * lanes + l. Digits have digit_bits bits.
// Legend: n the modulus of the ring, h its digits, R = 2^(digit_bits * h) >= 64 n, "reduced" means below 2n.
#pragma once

#include <vector>

#include "memory.h"

namespace native {

// An odd number n with what Montgomery reduction by it needs. Read-only once made, shared by threads.
struct Ring {
  int digits = 0;             // h
  std::vector<Word> n;        // h digits
  Word negated_inverse = 0;   // -n^-1 mod 2^digit_bits
  std::vector<Word> bound;    // a multiple of n in [R, R + n), in the form that Kernel::complement wants
};

constexpr int kMinTile = 4;

struct Kernel {
  const char* path;
  int lanes;
  int digit_bits;
  int tile;                 // h is a multiple of it; from kMinTile on in the kernels with lanes, else 1
  bool redundant_bound;     // bound: h digits that never borrow (true), or h + 1 plain digits (false)

  // out = (init + a b) / R mod n, reduced; m (h digits) receives the multiple of n that was added, -(init + a b) / n mod R.
  // init may be null, else it is in the form of `complement`. out may be a or b. scratch: reduce_scratch(h) words.
  void (*reduce_product)(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring&, Word* scratch);
  // The same for init + a b + c d, init + a a, init + 2 a b.
  void (*reduce_two_products)(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Word* c,
                              const Word* d, const Ring&, Word* scratch);
  void (*reduce_square)(Word* out, Word* m, const Word* init, const Word* a, const Ring&, Word* scratch);
  void (*reduce_doubled_product)(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring&,
                                 Word* scratch);

  // out (h + 1 digits) = bound - m, which is not negative and congruent to -m.
  void (*complement)(Word* out, const Word* m, const Ring&);
  // out (2 h digits, each in range) = init + a * constant; init (h digits) may be null; the constant is the same in all lanes.
  void (*wide_product)(Word* out, const Word* init, const Word* a, const Word* constant, int h);
  // out = x - y mod R.
  void (*subtract)(Word* out, const Word* x, const Word* y, int h);
  // sum += y without carries between digits; `normalise` carries them at last. The sum stays below R.
  void (*accumulate)(Word* sum, const Word* y, int h);
  void (*normalise)(Word* sum, int h);
  // x -= constant where x >= constant, without a branch.
  void (*conditional_subtract)(Word* x, const Word* constant, int digits, Word* scratch);

  // Rows of words (one per lane) to and from transposed words. A null row of `to_rows` is skipped.
  void (*from_rows)(Word* block, const Word* const* rows, int words);
  void (*to_rows)(Word* const* rows, const Word* block, int words);
  // Transposed 64-bit limbs to digits, from a bit offset on, and digits to limbs.
  void (*unpack)(Word* block, const Word* limbs, int limb_count, int bit_offset, int digits);
  void (*pack)(Word* limbs, int limb_count, const Word* block, int digits);
  // out = table[index[lane]] in each lane, reading every entry of the table.
  void (*select)(Word* out, const Word* table, int entries, const std::uint32_t* index, int words);
};

// The words of scratch that a reduction may use.
inline std::size_t reduce_scratch(const Kernel& kernel, int h) {
  return kernel.lanes == 1 ? 2 * static_cast<std::size_t>(h) + 2 : 0;
}

}  // namespace native
