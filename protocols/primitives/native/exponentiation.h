// Powers: of many bases, and of one base by tables.
#pragma once

#include <memory>

#include "arithmetic.h"

namespace native {

constexpr int kMaxLanes = 8;

// n numbers of `limbs` limbs, one after the other; a stride of 0 repeats the first.
struct Numbers {
  const Word* data;
  std::size_t stride;
  int limbs;

  const Word* row(std::size_t i) const { return data + i * stride; }
};

// out[i] = a[i] b[i], for i < count.
void multiply(const Arithmetic&, Word* out, Numbers a, Numbers b, std::size_t count);

// out[i] = bases[i]^exponents[i], by fixed windows; all exponents are below 2^exponent_bits. With `secret`, the sequence of
// operations and of memory accesses depends on exponent_bits alone: every table entry is read for each lookup.
void power(const Arithmetic&, Word* out, Numbers bases, Numbers exponents, int exponent_bits, bool secret, std::size_t count);

// Exponents cut into windows, from the lowest bit: one table answers each. Widths differ by at most one bit, so that a memory
// budget is used up instead of stopping at a power of two.
struct Windows {
  int count;
  int width;    // of the narrow windows
  int wide;     // how many of the first windows are one bit wider

  Windows(int exponent_bits, int tables) : count(tables), width(exponent_bits / tables), wide(exponent_bits % tables) {}
  int bits(int table) const { return width + (table < wide ? 1 : 0); }
  int first_bit(int table) const { return table * width + (table < wide ? table : wide); }
  std::size_t first_entry(int table) const {
    const std::size_t doubled = table < wide ? table : wide;
    return (static_cast<std::size_t>(table) + doubled) << width;
  }
  std::size_t entries() const { return first_entry(count); }
};

// Powers of one base below 2^exponent_bits: the product of one entry from each table. Which entries are read depends on the
// exponent. Read-only once built. `inverse` is the base's inverse, or null; where there is one, factored residues save a fifth.
class FixedBase {
 public:
  FixedBase(std::shared_ptr<const Arithmetic> arithmetic, const Word* base, const Word* inverse, int exponent_bits, int tables);

  static std::size_t size_bytes(const Arithmetic&, int exponent_bits, int tables);

  int window_bits() const { return windows_.bits(0); }
  std::size_t size_bytes() const { return entries_.words() * sizeof(Word); }
  void power(Word* out, Numbers exponents, std::size_t count) const;

 private:
  const Word* entry(int table, std::uint32_t digit) const {
    return entries_.data() + (windows_.first_entry(table) + digit) * arithmetic_->row_words();
  }
  void build(const Word* base, const Word* inverse);
  void fill_tables(int first, Word* x, const Word* step, Word* inverse, const Word* inverse_step, Word* scratch);

  std::shared_ptr<const Arithmetic> arithmetic_;
  Windows windows_;
  bool factored_;
  Buffer entries_;  // windows_.entries() rows
};

// The bits [bit, bit + width) of a number, width <= 32; bits beyond the number are zero.
std::uint32_t bits_at(const Word* number, int limbs, int bit, int width);

}  // namespace native
