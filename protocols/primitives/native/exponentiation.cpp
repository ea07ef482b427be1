#include "exponentiation.h"

#include <algorithm>
#include <cstring>

namespace native {

namespace {

// Fills the row pointers of a group of lanes: those past the end repeat the last input, and their output is dropped.
void group_rows(const Word** rows, Numbers numbers, std::size_t first, std::size_t count, int lanes) {
  for (int l = 0; l < lanes; ++l) rows[l] = numbers.row(std::min(first + l, count - 1));
}

void group_outputs(Word** rows, Word* out, int limbs, std::size_t first, std::size_t count, int lanes) {
  for (int l = 0; l < lanes; ++l) rows[l] = first + l < count ? out + (first + l) * limbs : nullptr;
}

int best_window(int exponent_bits) {
  int best = 1;
  for (int w = 2; w <= 7; ++w) {
    const auto cost = [&](int window) { return (exponent_bits + window - 1) / window + (1 << window); };
    if (cost(w) < cost(best)) best = w;
  }
  return best;
}

}  // namespace

std::uint32_t bits_at(const Word* number, int limbs, int bit, int width) {
  const int limb = bit / 64;
  const int shift = bit % 64;
  if (limb >= limbs) return 0;
  Word bits = number[limb] >> shift;
  if (shift + width > 64 && limb + 1 < limbs) bits |= number[limb + 1] << (64 - shift);
  return static_cast<std::uint32_t>(bits & ((Word{1} << width) - 1));
}

void multiply(const Arithmetic& ring, Word* out, Numbers a, Numbers b, std::size_t count) {
  const std::size_t words = ring.block_words();
  Buffer space(2 * words + ring.scratch_words());
  Word* x = space.data();
  Word* y = x + words;
  Word* scratch = y + words;
  const Word* in[kMaxLanes];
  Word* results[kMaxLanes];
  const bool shared = b.stride == 0;
  for (std::size_t first = 0; first < count; first += ring.lanes()) {
    // One factor goes in Montgomery form, so that the product comes out raw.
    if (!shared || first == 0) {
      group_rows(in, b, first, count, ring.lanes());
      ring.load(y, in, scratch);
      ring.multiply(y, y, ring.r_squared(), scratch);
    }
    group_rows(in, a, first, count, ring.lanes());
    ring.load(x, in, scratch);
    ring.multiply(x, x, y, scratch);
    group_outputs(results, out, ring.limbs(), first, count, ring.lanes());
    ring.store(results, x, scratch);
  }
}

void power(const Arithmetic& ring, Word* out, Numbers bases, Numbers exponents, int exponent_bits, std::size_t count) {
  const std::size_t words = ring.block_words();
  const int window = best_window(exponent_bits);
  const int entries = 1 << window;
  const int windows = (exponent_bits + window - 1) / window;
  Buffer space((entries + 2) * words + ring.scratch_words());
  Word* table = space.data();
  Word* x = table + entries * words;
  Word* factor = x + words;
  Word* scratch = factor + words;
  const Word* in[kMaxLanes];
  const Word* powers[kMaxLanes];
  Word* results[kMaxLanes];
  std::uint32_t digits[kMaxLanes] = {};
  for (std::size_t first = 0; first < count; first += ring.lanes()) {
    group_rows(in, bases, first, count, ring.lanes());
    group_rows(powers, exponents, first, count, ring.lanes());
    std::memcpy(table, ring.one(), sizeof(Word) * words);
    ring.load(x, in, scratch);
    ring.multiply(table + words, x, ring.r_squared(), scratch);
    for (int e = 2; e < entries; ++e) {
      if (e % 2 == 0) {
        ring.square(table + e * words, table + e / 2 * words, scratch);
      } else {
        ring.multiply(table + e * words, table + (e - 1) * words, table + words, scratch);
      }
    }
    std::memcpy(x, ring.one(), sizeof(Word) * words);
    for (int w = windows - 1; w >= 0; --w) {
      if (w != windows - 1) {
        for (int i = 0; i < window; ++i) ring.square(x, x, scratch);
      }
      for (int l = 0; l < ring.lanes(); ++l) digits[l] = bits_at(powers[l], exponents.limbs, w * window, window);
      ring.select(factor, table, entries, digits);
      if (w == windows - 1) {
        std::memcpy(x, factor, sizeof(Word) * words);
      } else {
        ring.multiply(x, x, factor, scratch);
      }
    }
    ring.multiply(x, x, ring.raw_one(), scratch);
    group_outputs(results, out, ring.limbs(), first, count, ring.lanes());
    ring.store(results, x, scratch);
  }
}

std::size_t FixedBase::size_bytes(const Arithmetic& ring, int exponent_bits, int window_bits) {
  const std::size_t tables = (exponent_bits + window_bits - 1) / window_bits;
  return (tables << window_bits) * ring.row_words() * sizeof(Word);
}

FixedBase::FixedBase(std::shared_ptr<const Arithmetic> arithmetic, const Word* base, int exponent_bits, int window_bits)
    : arithmetic_(std::move(arithmetic)),
      exponent_bits_(exponent_bits),
      window_(window_bits),
      entries_(size_bytes(*arithmetic_, exponent_bits, window_bits) / sizeof(Word)) {
  build(base);
}

void FixedBase::build(const Word* base) {
  const Arithmetic& ring = *arithmetic_;
  const std::size_t words = ring.block_words();
  const int lanes = ring.lanes();
  Buffer space(4 * words + ring.scratch_words());
  Word* step = space.data();      // base^(2^(window t)) for the table t of each lane, Montgomery form
  Word* x = step + words;
  Word* start = x + words;
  Word* power = start + words;
  Word* scratch = power + words;
  Buffer steps(ring.row_words() * lanes);
  const Word* in[kMaxLanes];
  Word* rows[kMaxLanes];

  // The entries are raw but for those of table 0, which carry R^(tables - 1): the product over all tables comes out raw.
  std::memcpy(start, ring.raw_one(), sizeof(Word) * words);
  for (int t = 1; t < tables(); ++t) ring.multiply(start, start, ring.r_squared(), scratch);

  std::fill_n(in, lanes, base);
  ring.load(x, in, scratch);
  ring.multiply(power, x, ring.r_squared(), scratch);
  for (int first = 0; first < tables(); first += lanes) {
    for (int l = 0; l < lanes; ++l) {
      for (int k = 0; k < lanes; ++k) rows[k] = nullptr;
      rows[0] = steps.data() + l * ring.row_words();
      ring.scatter(rows, power);
      for (int i = 0; i < window_; ++i) ring.square(power, power, scratch);
      in[l] = rows[0];
    }
    ring.gather(step, in);
    std::memcpy(x, ring.raw_one(), sizeof(Word) * words);
    if (first == 0) {
      for (int l = 0; l < lanes; ++l) {
        for (int k = 0; k < lanes; ++k) rows[k] = k == l ? steps.data() + l * ring.row_words() : nullptr;
        ring.scatter(rows, l == 0 ? start : ring.raw_one());
        in[l] = steps.data() + l * ring.row_words();
      }
      ring.gather(x, in);
    }
    for (std::uint32_t digit = 0; digit < (std::uint32_t{1} << window_); ++digit) {
      for (int l = 0; l < lanes; ++l) {
        rows[l] = first + l < tables() ? const_cast<Word*>(entry(first + l, digit)) : nullptr;
      }
      ring.scatter(rows, x);
      ring.multiply(x, x, step, scratch);
    }
  }
}

void FixedBase::power(Word* out, Numbers exponents, std::size_t count) const {
  const Arithmetic& ring = *arithmetic_;
  const std::size_t words = ring.block_words();
  const int lanes = ring.lanes();
  Buffer space(2 * words + ring.scratch_words());
  Word* x = space.data();
  Word* factor = x + words;
  Word* scratch = factor + words;
  const Word* powers[kMaxLanes];
  const Word* now[kMaxLanes];
  const Word* next[kMaxLanes];
  Word* results[kMaxLanes];
  // Tables exceed the caches, and the addresses of the next entries are known a multiplication ahead.
  const auto look_up = [&](int table) {
    for (int l = 0; l < lanes; ++l) {
      next[l] = entry(table, bits_at(powers[l], exponents.limbs, table * window_, window_));
      for (std::size_t i = 0; i < ring.row_words(); i += 8) __builtin_prefetch(next[l] + i);
    }
  };
  for (std::size_t first = 0; first < count; first += lanes) {
    group_rows(powers, exponents, first, count, lanes);
    look_up(0);
    for (int t = 0; t < tables(); ++t) {
      std::copy_n(next, lanes, now);
      if (t + 1 < tables()) look_up(t + 1);
      ring.gather(t == 0 ? x : factor, now);
      if (t != 0) ring.multiply(x, x, factor, scratch);
    }
    group_outputs(results, out, ring.limbs(), first, count, lanes);
    ring.store(results, x, scratch);
  }
}

}  // namespace native
