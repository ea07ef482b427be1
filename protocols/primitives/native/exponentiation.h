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

// out[i] = bases[i]^exponents[i]. The schedule depends on exponent_bits alone, and all exponents are below 2^exponent_bits;
// every table entry is read for each lookup.
void power(const Arithmetic&, Word* out, Numbers bases, Numbers exponents, int exponent_bits, std::size_t count);

// Powers of one base below 2^exponent_bits: the product of one entry from each of `tables()` tables. Which entries are read
// depends on the exponent. Read-only once built.
class FixedBase {
 public:
  FixedBase(std::shared_ptr<const Arithmetic> arithmetic, const Word* base, int exponent_bits, int window_bits);

  static std::size_t size_bytes(const Arithmetic&, int exponent_bits, int window_bits);

  int window_bits() const { return window_; }
  int exponent_bits() const { return exponent_bits_; }
  std::size_t size_bytes() const { return entries_.words() * sizeof(Word); }
  void power(Word* out, Numbers exponents, std::size_t count) const;

 private:
  int tables() const { return (exponent_bits_ + window_ - 1) / window_; }
  const Word* entry(int table, std::uint32_t digit) const {
    return entries_.data() + ((static_cast<std::size_t>(table) << window_) + digit) * arithmetic_->row_words();
  }
  void build(const Word* base);

  std::shared_ptr<const Arithmetic> arithmetic_;
  int exponent_bits_;
  int window_;
  Buffer entries_;  // tables() x 2^window rows
};

// The bits [bit, bit + width) of a number, width <= 32; bits beyond the number are zero.
std::uint32_t bits_at(const Word* number, int limbs, int bit, int width);

}  // namespace native
