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

  // A unit t = a (1 + s n) modulo n^2 may be kept as a and its *slope* s: slopes of a product add up, and a factor without its
  // x1 takes four half products instead of five. A *factored* block holds a in its lower half, s R in its upper one.
  // Whether products of that many factored residues work: the form is split, and R leaves room for the sum of slopes.
  virtual bool has_slopes(int factors) const = 0;
  // The remaining ones are for forms with slopes only. a b where b1, the upper half of b, is taken as 0.
  virtual void multiply_lower(Word* out, const Word* a, const Word* b, Word* scratch) const = 0;
  // Lower half of out = a0 b0 / R modulo n; its upper half is left alone.
  virtual void multiply_residues(Word* out, const Word* a, const Word* b, Word* scratch) const = 0;
  // Turns a block into a factored one; the lower half of `inverse` is R^2 / x0 modulo n.
  virtual void factor(Word* x, const Word* inverse, Word* scratch) const = 0;
  virtual void clear_upper(Word* x) const = 0;
  // Upper half of sum += slopes of x, and x = x (1 + sum n) at last.
  virtual void add_slopes(Word* sum, const Word* x) const = 0;
  virtual void apply_slopes(Word* x, Word* sum, Word* scratch) const = 0;

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
