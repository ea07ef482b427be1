// Products of segments of factors, the lanes working on different segments, long segments cut into pieces.
#pragma once

#include <unordered_map>
#include <vector>

#include "exponentiation.h"

namespace native {

struct Segment {
  std::size_t first;
  std::size_t last;  // one past the end

  std::size_t length() const { return last - first; }
};

// Where factors come from, by position. An absent factor is a 1.
class Factors {
 public:
  static constexpr std::size_t kAbsent = ~std::size_t{0};

  // Residues in limbs: raw.
  static Factors limbs(const Arithmetic&, Numbers numbers);
  // Rows, all raw or all in Montgomery form; `order`, if not null, maps positions to rows.
  static Factors rows(const Arithmetic&, const Word* rows, const std::uint32_t* order, bool raw);

  bool raw() const { return raw_; }
  // Looks up one factor per lane, and asks for its words, which lie at random in memory; then makes them a block.
  void find(const Word** rows, const std::size_t* positions) const;
  void fetch(Word* block, const Word* const* rows, Word* scratch) const;

 private:
  Factors(const Arithmetic& ring, const Word* data, std::size_t stride, const std::uint32_t* order, bool raw, bool in_limbs);

  const Arithmetic& ring_;
  const Word* data_;
  std::size_t stride_;
  const std::uint32_t* order_;
  bool raw_;
  bool in_limbs_;
  Buffer absent_;
};

// Writes the products of segments as rows in Montgomery form.
class Chains {
 public:
  explicit Chains(const Arithmetic& ring);

  void products(Word* rows, const Factors& factors, const std::vector<Segment>& segments);

 private:
  void short_products(Word* rows, const Factors& factors, const std::vector<Segment>& segments);
  const Word* power_of_r(std::size_t exponent);

  const Arithmetic& ring_;
  Buffer space_;
  Word* x_;
  Word* factor_;
  Word* scratch_;
  std::unordered_map<std::size_t, Buffer> powers_of_r_;
};

}  // namespace native
