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

// The window with the least cost in multiplications. Reading a whole table costs time too: measured, an entry takes about
// 1/h of a multiplication of h digits in lanes (its words come from the second-level cache), a quarter of that without.
int best_window(const Arithmetic& ring, int exponent_bits, bool secret) {
  const double digits = static_cast<double>(ring.row_words()) / 2;
  const double entry_cost = secret ? (ring.lanes() == 1 ? 0.25 : 1.0) / digits : 0.0;
  const auto cost = [&](int window) {
    const int entries = 1 << window;
    const int windows = (exponent_bits + window - 1) / window;
    return windows * (1 + entries * entry_cost) + entries;
  };
  int best = 1;
  for (int window = 2; window <= 7; ++window) {
    if (cost(window) < cost(best)) best = window;
  }
  return best;
}

// The powers 0 .. 2^window - 1 of one base per lane, Montgomery form: as blocks, and as rows where they may be looked up by
// address.
class PowerTable {
 public:
  PowerTable(const Arithmetic& ring, int window, bool secret)
      : ring_(ring),
        words_(ring.block_words()),
        entries_(1 << window),
        secret_(secret),
        blocks_(entries_ * words_),
        rows_(secret ? 0 : entries_ * words_) {}

  void fill(const Word* base, Word* scratch) {
    std::memcpy(blocks_.data(), ring_.one(), sizeof(Word) * words_);
    std::memcpy(block(1), base, sizeof(Word) * words_);
    for (int e = 2; e < entries_; ++e) {
      if (e % 2 == 0) {
        ring_.square(block(e), block(e / 2), scratch);
      } else {
        ring_.multiply(block(e), block(e - 1), block(1), scratch);
      }
    }
    if (secret_) return;
    Word* rows[kMaxLanes];
    for (int e = 0; e < entries_; ++e) {
      for (int l = 0; l < ring_.lanes(); ++l) rows[l] = row(e, l);
      ring_.scatter(rows, block(e));
    }
  }

  void look_up(Word* out, const std::uint32_t* digits) {
    if (secret_) {
      ring_.select(out, blocks_.data(), entries_, digits);
      return;
    }
    const Word* rows[kMaxLanes];
    for (int l = 0; l < ring_.lanes(); ++l) rows[l] = row(static_cast<int>(digits[l]), l);
    ring_.gather(out, rows);
  }

 private:
  Word* block(int entry) { return blocks_.data() + entry * words_; }
  Word* row(int entry, int lane) { return rows_.data() + entry * words_ + lane * ring_.row_words(); }

  const Arithmetic& ring_;
  std::size_t words_;
  int entries_;
  bool secret_;
  Buffer blocks_;
  Buffer rows_;
};

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

void power(const Arithmetic& ring, Word* out, Numbers bases, Numbers exponents, int exponent_bits, bool secret,
           std::size_t count) {
  const std::size_t words = ring.block_words();
  const int window = best_window(ring, exponent_bits, secret);
  const int windows = (exponent_bits + window - 1) / window;
  PowerTable table(ring, window, secret);
  Buffer space(2 * words + ring.scratch_words());
  Word* x = space.data();
  Word* factor = x + words;
  Word* scratch = factor + words;
  const Word* in[kMaxLanes];
  const Word* powers[kMaxLanes];
  Word* results[kMaxLanes];
  std::uint32_t digits[kMaxLanes] = {};
  for (std::size_t first = 0; first < count; first += ring.lanes()) {
    group_rows(in, bases, first, count, ring.lanes());
    group_rows(powers, exponents, first, count, ring.lanes());
    ring.load(x, in, scratch);
    ring.multiply(x, x, ring.r_squared(), scratch);
    table.fill(x, scratch);
    std::memcpy(x, ring.one(), sizeof(Word) * words);
    for (int w = windows - 1; w >= 0; --w) {
      for (int l = 0; l < ring.lanes(); ++l) digits[l] = bits_at(powers[l], exponents.limbs, w * window, window);
      if (w == windows - 1) {
        table.look_up(x, digits);
        continue;
      }
      for (int i = 0; i < window; ++i) ring.square(x, x, scratch);
      table.look_up(factor, digits);
      ring.multiply(x, x, factor, scratch);
    }
    ring.multiply(x, x, ring.raw_one(), scratch);
    group_outputs(results, out, ring.limbs(), first, count, ring.lanes());
    ring.store(results, x, scratch);
  }
}

}  // namespace native
