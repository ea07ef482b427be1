// Random and fuzzed operands for the native kernels, against arithmetic that is too simple to be wrong.
//
// `driver PATH ROUNDS SEED` runs rounds of random choices on one instruction path; sanitize.py builds it with the address and
// undefined-behaviour sanitizers. Under clang, -fsanitize=fuzzer -DFUZZING makes it a fuzz target: the input's bytes are the
// choices (sizes, forms, operands), for every path of this processor.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "products.h"

namespace {

using native::Arithmetic;
using native::Natural;
using native::Numbers;
using native::Word;

// Choices come from a generator, or from the bytes of an input, which end in zeros.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed) {}
  Choices(const std::uint8_t* data, std::size_t size) : data_(data), size_(size), from_input_(true) {}

  Word word() {
    if (!from_input_) return random_();
    Word result = 0;
    for (int i = 0; i < 8; ++i) result = result << 8 | (size_ > 0 ? (--size_, *data_++) : 0);
    return result;
  }
  int below(int limit) { return static_cast<int>(word() % static_cast<Word>(limit)); }

 private:
  std::mt19937_64 random_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  bool from_input_ = false;
};

bool less(const Natural& x, const Natural& y) {
  return std::lexicographical_compare(x.rbegin(), x.rend(), y.rbegin(), y.rend());
}

// x = (x + y) mod n for x, y < n, all of one width; x may be y.
void add_to(Natural& x, const Natural& y, const Natural& n) {
  Word carry = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const unsigned __int128 sum = static_cast<unsigned __int128>(x[i]) + y[i] + carry;
    x[i] = static_cast<Word>(sum);
    carry = static_cast<Word>(sum >> 64);
  }
  if (carry == 0 && less(x, n)) return;
  Word borrow = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const unsigned __int128 rest = static_cast<unsigned __int128>(x[i]) - n[i] - borrow;
    x[i] = static_cast<Word>(rest);
    borrow = static_cast<Word>(rest >> 64) & 1;
  }
}

Natural add_mod(Natural x, const Natural& y, const Natural& n) {
  add_to(x, y, n);
  return x;
}

bool bit(const Natural& x, int i) { return i / 64 < static_cast<int>(x.size()) && (x[i / 64] >> (i % 64) & 1) != 0; }

Natural multiply_mod(const Natural& x, const Natural& y, const Natural& n) {
  Natural result(n.size(), 0);
  for (int i = native::bit_length(y); i-- > 0;) {
    add_to(result, result, n);
    if (bit(y, i)) add_to(result, x, n);
  }
  return result;
}

Natural one(const Natural& n) {
  Natural result(n.size(), 0);
  result[0] = 1;
  return result;
}

Natural power_mod(const Natural& x, const Natural& e, const Natural& n) {
  Natural result = one(n);
  for (int i = native::bit_length(e); i-- > 0;) {
    result = multiply_mod(result, result, n);
    if (bit(e, i)) result = multiply_mod(result, x, n);
  }
  return result;
}

Natural random_number(Choices& choices, int bits) {
  Natural x((bits + 63) / 64);
  const int kind = choices.below(4);  // runs of equal bits are where carries go far
  for (Word& limb : x) limb = kind == 0 ? ~Word{0} : kind == 1 && choices.below(2) ? 0 : choices.word();
  if (bits % 64 != 0) x.back() &= (Word{1} << bits % 64) - 1;
  return x;
}

Natural trimmed(Natural x) {
  while (!x.empty() && x.back() == 0) x.pop_back();
  return x;
}

Natural square(const Natural& x) {
  Natural result(2 * x.size(), 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    unsigned __int128 carry = 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      carry += static_cast<unsigned __int128>(x[i]) * x[j] + result[i + j];
      result[i + j] = static_cast<Word>(carry);
      carry >>= 64;
    }
    result[i + x.size()] = static_cast<Word>(carry);
  }
  return trimmed(result);
}

Natural random_residue(Choices& choices, const Natural& n) {
  const Natural top = native::difference(n, one(n));
  const int kind = choices.below(8);
  if (kind == 0) return Natural(n.size(), 0);
  if (kind == 1) return one(n);
  if (kind == 2) return top;
  Natural x = random_number(choices, native::bit_length(n));
  x.resize(n.size(), 0);
  return less(x, n) ? x : native::difference(x, n);
}

// Numbers side by side in memory of exactly that size, so that reading past them is seen.
struct Rows {
  std::unique_ptr<Word[]> data;
  int limbs;
  std::size_t count;

  Rows(std::size_t rows, int width) : data(new Word[rows * width]()), limbs(width), count(rows) {}
  explicit Rows(const std::vector<Natural>& numbers, int width) : Rows(numbers.size(), width) {
    for (std::size_t i = 0; i < count; ++i) {
      std::copy_n(numbers[i].begin(), std::min<std::size_t>(numbers[i].size(), width), data.get() + i * width);
    }
  }
  Numbers numbers() const { return {data.get(), static_cast<std::size_t>(limbs), limbs}; }
  Natural row(std::size_t i) const { return Natural(data.get() + i * limbs, data.get() + (i + 1) * limbs); }
};

void expect(bool holds, const char* what, const std::string& path, const Natural& n) {
  if (holds) return;
  std::fprintf(stderr, "%s is wrong on the path %s at %d bits\n", what, path.c_str(), native::bit_length(n));
  std::abort();
}

std::vector<Natural> random_residues(Choices& choices, const Natural& n, std::size_t count) {
  std::vector<Natural> result(count);
  for (Natural& x : result) x = random_residue(choices, n);
  return result;
}

std::vector<Natural> random_exponents(Choices& choices, std::size_t count, int bits) {
  std::vector<Natural> result(count);
  for (Natural& x : result) x = random_number(choices, bits);
  return result;
}

void check_powers(Choices& choices, const std::string& path, const std::shared_ptr<const Arithmetic>& ring,
                  const std::vector<Natural>& a) {
  const Natural& n = ring->value();
  const int bits = 1 + choices.below(80);
  const std::vector<Natural> e = random_exponents(choices, a.size(), bits);
  const Rows bases(a, ring->limbs());
  const Rows exponents(e, (bits + 63) / 64);
  Rows out(a.size(), ring->limbs());
  native::power(*ring, out.data.get(), bases.numbers(), exponents.numbers(), bits, choices.below(2) == 1, a.size());
  for (std::size_t i = 0; i < a.size(); ++i) expect(out.row(i) == power_mod(a[i], e[i], n), "power", path, n);
  if (a.empty()) return;
  const int tables = (bits + 4) / 5 + choices.below(bits - (bits + 4) / 5 + 1);
  // 2 and (n + 1) / 2 are inverses of each other, which gives tables with slopes an inverse without an oracle for it.
  Natural half = n;
  for (std::size_t i = 0; i < half.size(); ++i) half[i] = half[i] >> 1 | (i + 1 < half.size() ? half[i + 1] << 63 : 0);
  half = add_mod(half, one(n), n);
  Natural two = add_mod(one(n), one(n), n);
  const bool invertible = choices.below(2) == 1;
  const Natural base = invertible ? power_mod(half, e[0], n) : a[0];
  const Natural inverse = power_mod(two, e[0], n);
  const native::FixedBase table(ring, base.data(), invertible ? inverse.data() : nullptr, bits, tables);
  table.power(out.data.get(), exponents.numbers(), a.size());
  for (std::size_t i = 0; i < a.size(); ++i) expect(out.row(i) == power_mod(base, e[i], n), "fixed-base power", path, n);
}

void check_products(Choices& choices, const std::string& path, const Arithmetic& ring, const std::vector<Natural>& a) {
  const Natural& n = ring.value();
  const Rows rows(a, ring.limbs());
  std::vector<std::int64_t> starts = {0};
  for (int i = choices.below(4); i > 0; --i) starts.push_back(choices.below(static_cast<int>(a.size()) + 1));
  starts.push_back(static_cast<std::int64_t>(a.size()));
  std::sort(starts.begin(), starts.end());
  Rows out(starts.size() - 1, ring.limbs());
  native::segment_products(ring, out.data.get(), rows.numbers(), starts.data(), out.count);
  for (std::size_t i = 0; i < out.count; ++i) {
    Natural product = one(n);
    for (std::int64_t j = starts[i]; j < starts[i + 1]; ++j) product = multiply_mod(product, a[j], n);
    expect(out.row(i) == product, "product", path, n);
  }
  const int weight_bits = 1 + choices.below(70);
  const int weight_limbs = (weight_bits + 63) / 64;
  const std::size_t weight_rows = 1 + choices.below(3);
  const std::vector<Natural> weights = random_exponents(choices, weight_rows * a.size(), weight_bits);
  const Rows magnitudes(weights, weight_limbs);
  const std::unique_ptr<bool[]> signs(new bool[weights.size()]());
  for (std::size_t i = 0; i < weights.size(); ++i) signs[i] = choices.below(2) == 1;
  Rows positive(weight_rows, ring.limbs());
  Rows negative(weight_rows, ring.limbs());
  const native::Weights all{magnitudes.numbers(), signs.get(), weight_rows, weight_bits};
  native::bucket_powers(ring, positive.data.get(), negative.data.get(), rows.numbers(), a.size(), all);
  // The tables' products need inverses only to multiply by: any residues will do.
  const std::vector<Natural> inverses = random_residues(choices, n, a.size());
  const Rows inverse_rows(inverses, ring.limbs());
  Rows by_tables(weight_rows, ring.limbs());
  if (!a.empty()) {
    native::table_powers(ring, by_tables.data.get(), rows.numbers(), inverse_rows.numbers(), a.size(), all);
  }
  for (std::size_t row = 0; row < weight_rows; ++row) {
    Natural expected[2] = {one(n), one(n)};
    Natural with_inverses = one(n);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t at = row * a.size() + i;
      Natural& product = expected[signs[at] ? 1 : 0];
      const Natural power = power_mod(a[i], weights[at], n);
      product = multiply_mod(product, power, n);
      with_inverses = multiply_mod(with_inverses, signs[at] ? power_mod(inverses[i], weights[at], n) : power, n);
    }
    expect(a.empty() || by_tables.row(row) == with_inverses, "power by tables", path, n);
    expect(positive.row(row) == expected[0] && negative.row(row) == expected[1], "power by buckets", path, n);
  }
}

void check(Choices& choices, const std::string& path) {
  const int bits = 2 + choices.below(choices.below(8) == 0 ? 1100 : 200);
  Natural root = random_number(choices, bits);
  root[0] |= 1;
  root.back() |= Word{1} << (bits - 1) % 64;
  const bool split = choices.below(2) == 1;
  const Natural n = split ? square(root) : root;
  const std::shared_ptr<const Arithmetic> ring = native::make_arithmetic(path, n, split ? root : Natural{});
  const std::size_t count = choices.below(20);
  const std::vector<Natural> a = random_residues(choices, n, count);
  const std::vector<Natural> b = random_residues(choices, n, count);
  const Rows left(a, ring->limbs());
  const Rows right(b, ring->limbs());
  Rows out(count, ring->limbs());
  native::multiply(*ring, out.data.get(), left.numbers(), right.numbers(), count);
  for (std::size_t i = 0; i < count; ++i) expect(out.row(i) == multiply_mod(a[i], b[i], n), "multiply", path, n);
  if (native::bit_length(n) > 400) return;  // the oracle's powers take too long
  check_powers(choices, path, ring, a);
  check_products(choices, path, *ring, a);
}

}  // namespace

#if defined(FUZZING)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const std::string& path : native::available_paths()) {
    Choices choices(data, size);
    check(choices, path);
  }
  return 0;
}

#else

int main(int argc, char** argv) {
  if (argc == 1) {
    for (const std::string& path : native::available_paths()) std::puts(path.c_str());
    return 0;
  }
  if (argc != 4) {
    std::fprintf(stderr, "usage: driver [PATH ROUNDS SEED]\n");
    return 2;
  }
  Choices choices(std::strtoull(argv[3], nullptr, 10));
  const int rounds = std::atoi(argv[2]);
  for (int i = 0; i < rounds; ++i) check(choices, argv[1]);
  std::printf("%s: %d rounds, no difference\n", argv[1], rounds);
  return 0;
}

#endif
