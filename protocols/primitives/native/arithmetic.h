// Multiplication modulo one odd number, on blocks of residues in Montgomery's manner: the interface that exponentiation
// and products are written against, and its two forms.
#pragma once

#include <memory>
#include <string>

#include "dispatch.h"
#include "natural.h"

namespace native {

// Residues live in blocks (one residue per lane) or in rows (one residue, its digits side by side, as tables keep them).
// multiply(a, b) = a b / R. A *raw* residue x stands for x; the *Montgomery form* of x is x R.
class Arithmetic {
 public:
  virtual ~Arithmetic() = default;

  int limbs() const { return limbs_; }
  int lanes() const { return kernel_.lanes; }
  std::size_t block_words() const { return static_cast<std::size_t>(row_words_) * kernel_.lanes; }
  std::size_t row_words() const { return row_words_; }
  std::size_t scratch_words() const { return scratch_words_; }
  const Natural& value() const { return value_; }
  const Word* raw_one() const { return raw_one_.data(); }      // 1 in every lane
  const Word* one() const { return one_.data(); }              // R
  const Word* r_squared() const { return r_squared_.data(); }  // R^2

  // Residues of `limbs` 64-bit limbs below the modulus, one per lane, to a block and back. Null rows of `store` are skipped.
  virtual void load(Word* block, const Word* const* rows, Word* scratch) const = 0;
  virtual void store(Word* const* rows, const Word* block, Word* scratch) const = 0;
  virtual void multiply(Word* out, const Word* a, const Word* b, Word* scratch) const = 0;
  virtual void square(Word* out, const Word* a, Word* scratch) const = 0;

  void gather(Word* block, const Word* const* rows) const { kernel_.from_rows(block, rows, row_words_); }
  void scatter(Word* const* rows, const Word* block) const { kernel_.to_rows(rows, block, row_words_); }
  void select(Word* out, const Word* table, int entries, const std::uint32_t* index) const {
    kernel_.select(out, table, entries, index, static_cast<int>(block_words()));
  }

 protected:
  // digits: of one residue, in the form's layout; exponent: R = 2^exponent.
  Arithmetic(Kernel kernel, Natural value, int digits, std::size_t scratch_words);
  void make_constants(int exponent);

  Kernel kernel_;
  Natural value_;
  int limbs_;
  int row_words_;
  std::size_t scratch_words_;
  Buffer raw_one_, one_, r_squared_;
};

// Arithmetic modulo `value` on a path; `root` is empty, or value = root^2, which selects the split form.
std::unique_ptr<Arithmetic> make_arithmetic(const std::string& path, const Natural& value, const Natural& root);

// Makes the ring of n for a kernel, with R = 2^(digit_bits * digits).
Ring make_ring(const Kernel& kernel, const Natural& n, int digits);

}  // namespace native
