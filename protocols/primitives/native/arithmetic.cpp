#include "arithmetic.h"

#include <cstring>
#include <stdexcept>

namespace native {

Ring make_ring(const Kernel& kernel, const Natural& n, int digits) {
  Ring ring;
  ring.digits = digits;
  ring.n = to_digits(n, kernel.digit_bits, digits);
  const Word inverse = negated_inverse(n[0]);
  ring.negated_inverse = kernel.digit_bits == 64 ? inverse : inverse & ((Word{1} << kernel.digit_bits) - 1);
  // The multiple of n next to R is R + (n - R mod n).
  ring.bound = to_digits(difference(n, power_of_two_mod(kernel.digit_bits * digits, n)), kernel.digit_bits, digits);
  if (kernel.redundant_bound) {
    // R as digits that each exceed any digit of m, so that subtraction never borrows: 2^b, 2^b - 1, ..., 2^b - 1.
    const Word radix = Word{1} << kernel.digit_bits;
    for (int i = 0; i < digits; ++i) ring.bound[i] += i == 0 ? radix : radix - 1;
  } else {
    ring.bound.push_back(1);
  }
  return ring;
}

Arithmetic::Arithmetic(Kernel kernel, Natural value, int digits, std::size_t scratch_words)
    : kernel_(kernel),
      value_(std::move(value)),
      limbs_(static_cast<int>(value_.size())),
      row_words_(kernel.lanes == 1 ? digits : static_cast<int>(round_up(digits, 8))),
      scratch_words_(scratch_words) {}

void Arithmetic::make_constants(int exponent) {
  Buffer scratch(scratch_words_);
  Natural unit(value_.size(), 0);
  unit[0] = 1;
  const Natural r = power_of_two_mod(exponent, value_);
  const Natural r2 = power_of_two_mod(2 * exponent, value_);
  const auto broadcast = [&](const Natural& number) {
    Buffer block(block_words());
    const std::vector<const Word*> rows(lanes(), number.data());
    load(block.data(), rows.data(), scratch.data());
    return block;
  };
  raw_one_ = broadcast(unit);
  one_ = broadcast(r);
  r_squared_ = broadcast(r2);
}

namespace {

// Montgomery multiplication modulo the whole value.
class DirectForm final : public Arithmetic {
 public:
  DirectForm(const Fit& fit, const Natural& value)
      : Arithmetic(fit.kernel, value, fit.digits,
                   2 * static_cast<std::size_t>(fit.kernel.lanes) * (fit.digits + value.size() + 1) +
                       reduce_scratch(fit.kernel, fit.digits)),
        ring_(make_ring(kernel_, value, fit.digits)) {
    make_constants(kernel_.digit_bits * fit.digits);
  }

  void load(Word* block, const Word* const* rows, Word* scratch) const override {
    kernel_.from_rows(scratch, rows, limbs_);
    kernel_.unpack(block, scratch, limbs_, 0, ring_.digits);
  }

  void store(Word* const* rows, const Word* block, Word* scratch) const override {
    const std::size_t words = static_cast<std::size_t>(ring_.digits) * lanes();
    Word* x = scratch;
    Word* rest = scratch + words;
    std::memcpy(x, block, sizeof(Word) * words);
    kernel_.conditional_subtract(x, ring_.n.data(), ring_.digits, rest);
    kernel_.pack(rest, limbs_, x, ring_.digits);
    kernel_.to_rows(rows, rest, limbs_);
  }

  void multiply(Word* out, const Word* a, const Word* b, Word* scratch) const override {
    Word* m = scratch;
    kernel_.reduce_product(out, m, nullptr, a, b, ring_, m + static_cast<std::size_t>(ring_.digits) * lanes());
  }

  void square(Word* out, const Word* a, Word* scratch) const override {
    Word* m = scratch;
    kernel_.reduce_square(out, m, nullptr, a, ring_, m + static_cast<std::size_t>(ring_.digits) * lanes());
  }

  bool has_slopes(int) const override { return false; }
  void multiply_lower(Word*, const Word*, const Word*, Word*) const override { refuse(); }
  void multiply_residues(Word*, const Word*, const Word*, Word*) const override { refuse(); }
  void factor(Word*, const Word*, Word*) const override { refuse(); }
  void clear_upper(Word*) const override { refuse(); }
  void add_slopes(Word*, const Word*) const override { refuse(); }
  void apply_slopes(Word*, Word*, Word*) const override { refuse(); }

 private:
  [[noreturn]] static void refuse() { throw std::logic_error("slopes belong to the split form"); }

  Ring ring_;
};

// Multiplication modulo n^2 on x = x0 + x1 n, with R a power of two near n: where x0 y0 + m n = t R,
// x y / R = t + n (x0 y1 + x1 y0 - m) / R (mod n^2), so that both halves are Montgomery reductions modulo n.
class SplitForm final : public Arithmetic {
 public:
  SplitForm(const Fit& fit, const Natural& value, const Natural& root)
      : Arithmetic(fit.kernel, value, 2 * fit.digits,
                   static_cast<std::size_t>(fit.kernel.lanes) * (6 * (fit.digits + 1) + 2 * (value.size() + 1)) +
                       reduce_scratch(fit.kernel, fit.digits)),
        ring_(make_ring(kernel_, root, fit.digits)),
        half_(static_cast<std::size_t>(fit.digits) * fit.kernel.lanes),
        square_digits_(to_digits(value, kernel_.digit_bits, 2 * fit.digits)),
        shift_(bit_length(root) - 2) {
    const int exponent = kernel_.digit_bits * fit.digits;
    quotient_factor_ = to_digits(power_of_two_over(shift_ + exponent, root), kernel_.digit_bits, fit.digits);
    make_constants(exponent);
  }

  // Barrett division by n: x1 = floor(floor(x / 2^shift) floor(2^shift R / n) / R) is at most 1.6 below x / n,
  // so that x0 = x - x1 n stays below 2n.
  void load(Word* block, const Word* const* rows, Word* scratch) const override {
    const int h = ring_.digits;
    Word* wide = scratch;
    Word* part = wide + 2 * half_;
    Word* limb_block = part + half_;
    kernel_.from_rows(limb_block, rows, limbs_);
    kernel_.unpack(part, limb_block, limbs_, shift_, h);
    kernel_.wide_product(wide, nullptr, part, quotient_factor_.data(), h);
    std::memcpy(block + half_, wide + half_, sizeof(Word) * half_);
    kernel_.wide_product(wide, nullptr, block + half_, ring_.n.data(), h);
    kernel_.unpack(part, limb_block, limbs_, 0, h);
    kernel_.subtract(block, part, wide, h);
  }

  void store(Word* const* rows, const Word* block, Word* scratch) const override {
    const int h = ring_.digits;
    Word* wide = scratch;
    Word* rest = wide + 2 * half_;
    kernel_.wide_product(wide, block, block + half_, ring_.n.data(), h);
    // x0 + x1 n < 2n + 2n^2 < 3n^2.
    kernel_.conditional_subtract(wide, square_digits_.data(), 2 * h, rest);
    kernel_.conditional_subtract(wide, square_digits_.data(), 2 * h, rest);
    kernel_.pack(rest, limbs_, wide, 2 * h);
    kernel_.to_rows(rows, rest, limbs_);
  }

  void multiply(Word* out, const Word* a, const Word* b, Word* scratch) const override {
    Word* m = scratch;
    Word* low = m + half_;
    Word* minus_m = low + half_;
    Word* rest = minus_m + half_ + lanes();
    kernel_.reduce_product(low, m, nullptr, a, b, ring_, rest);
    kernel_.complement(minus_m, m, ring_);
    kernel_.reduce_two_products(out + half_, m, minus_m, a, b + half_, a + half_, b, ring_, rest);
    std::memcpy(out, low, sizeof(Word) * half_);
  }

  void square(Word* out, const Word* a, Word* scratch) const override {
    Word* m = scratch;
    Word* low = m + half_;
    Word* minus_m = low + half_;
    Word* rest = minus_m + half_ + lanes();
    kernel_.reduce_square(low, m, nullptr, a, ring_, rest);
    kernel_.complement(minus_m, m, ring_);
    kernel_.reduce_doubled_product(out + half_, m, minus_m, a, a + half_, ring_, rest);
    std::memcpy(out, low, sizeof(Word) * half_);
  }

  // The digits of so many slopes fit a word without carries. The sum of slopes must stay below R / 4, so that its product with a residue comes out reduced.
  bool has_slopes(int factors) const override {
    const int headroom = kernel_.digit_bits * ring_.digits - (shift_ + 2);
    return factors <= kMostSlopes && (headroom >= 32 || factors <= (std::int64_t{1} << headroom) / 4);
  }

  void multiply_lower(Word* out, const Word* a, const Word* b, Word* scratch) const override {
    Word* m = scratch;
    Word* low = m + half_;
    Word* minus_m = low + half_;
    Word* rest = minus_m + half_ + lanes();
    kernel_.reduce_product(low, m, nullptr, a, b, ring_, rest);
    kernel_.complement(minus_m, m, ring_);
    kernel_.reduce_product(out + half_, m, minus_m, a + half_, b, ring_, rest);
    std::memcpy(out, low, sizeof(Word) * half_);
  }

  void multiply_residues(Word* out, const Word* a, const Word* b, Word* scratch) const override {
    kernel_.reduce_product(out, scratch, nullptr, a, b, ring_, scratch + half_);
  }

  void factor(Word* x, const Word* inverse, Word* scratch) const override {
    kernel_.reduce_product(x + half_, scratch, nullptr, x + half_, inverse, ring_, scratch + half_);
    // Reduced numbers are below 2n; slopes below n sum up to less.
    kernel_.conditional_subtract(x + half_, ring_.n.data(), ring_.digits, scratch);
  }

  void clear_upper(Word* x) const override { std::memset(x + half_, 0, sizeof(Word) * half_); }

  void add_slopes(Word* sum, const Word* x) const override { kernel_.accumulate(sum + half_, x + half_, ring_.digits); }

  // x1 + x0 s = (x1 R + x0 (s R)) / R, where the lower half of `one` is R modulo n.
  void apply_slopes(Word* x, Word* sum, Word* scratch) const override {
    kernel_.normalise(sum + half_, ring_.digits);
    kernel_.reduce_two_products(x + half_, scratch, nullptr, x + half_, one(), x, sum + half_, ring_, scratch + half_);
  }

 private:
  static constexpr int kMostSlopes = 2048;

  Ring ring_;
  std::size_t half_;                   // words of one half of a block
  std::vector<Word> square_digits_;    // n^2
  int shift_;
  std::vector<Word> quotient_factor_;  // floor(2^shift R / n)
};

}  // namespace

std::unique_ptr<Arithmetic> make_arithmetic(const std::string& path, const Natural& value, const Natural& root) {
  if (root.empty()) return std::make_unique<DirectForm>(fit_kernel(path, bit_length(value)), value);
  return std::make_unique<SplitForm>(fit_kernel(path, bit_length(root)), value, root);
}

}  // namespace native
