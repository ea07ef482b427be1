#include <algorithm>
#include <cstring>

#include "exponentiation.h"

namespace native {

std::size_t FixedBase::size_bytes(const Arithmetic& ring, int exponent_bits, int tables) {
  return Windows(exponent_bits, tables).entries() * ring.row_words() * sizeof(Word);
}

FixedBase::FixedBase(std::shared_ptr<const Arithmetic> arithmetic, const Word* base, const Word* inverse, int exponent_bits,
                     int tables)
    : arithmetic_(std::move(arithmetic)),
      windows_(exponent_bits, tables),
      factored_(inverse != nullptr && arithmetic_->has_slopes(tables)),
      entries_(windows_.entries() * arithmetic_->row_words(), Buffer::Content::open) {
  build(base, inverse);
}

// Lanes work on different tables. The entries are raw but for those of table 0, which carry R^(tables - 1): the product over
// all tables comes out raw.
void FixedBase::build(const Word* base, const Word* inverse) {
  const Arithmetic& ring = *arithmetic_;
  const std::size_t words = ring.block_words();
  const std::size_t row_words = ring.row_words();
  const int lanes = ring.lanes();
  Buffer space(7 * words + ring.scratch_words());
  Word* x = space.data();                // the entries to come
  Word* x_inverse = x + words;           // R^2 over them
  Word* step = x_inverse + words;        // base^(2^(first bit)) of the table in each lane, Montgomery form
  Word* step_inverse = step + words;
  Word* power = step_inverse + words;    // the same for the next table, in every lane
  Word* power_inverse = power + words;
  Word* first_entry = power_inverse + words;
  Word* scratch = first_entry + words;
  const Word* in[kMaxLanes];

  const auto load = [&](Word* block, const Word* number) {
    std::fill_n(in, lanes, number);
    ring.load(block, in, scratch);
    ring.multiply(block, block, ring.r_squared(), scratch);
  };
  load(power, base);
  if (factored_) load(power_inverse, inverse);
  // One row per lane, to change the lanes of a block one by one.
  Buffer rows(4 * lanes * row_words);
  const auto set_row = [&](int kind, int lane, const Word* block) {
    Word* out[kMaxLanes] = {rows.data() + (kind * lanes + lane) * row_words};
    ring.scatter(out, block);
  };
  const auto gather = [&](Word* block, int kind) {
    for (int l = 0; l < lanes; ++l) in[l] = rows.data() + (kind * lanes + l) * row_words;
    ring.gather(block, in);
  };
  for (int first = 0; first < windows_.count; first += lanes) {
    for (int l = 0; l < lanes; ++l) {
      set_row(0, l, ring.raw_one());
      set_row(1, l, ring.r_squared());
      if (first + l == 0) {
        std::memcpy(first_entry, ring.raw_one(), sizeof(Word) * words);
        std::memcpy(x_inverse, ring.r_squared(), sizeof(Word) * words);
        for (int t = 1; t < windows_.count; ++t) {
          ring.multiply(first_entry, first_entry, ring.r_squared(), scratch);
          if (factored_) ring.multiply_residues(x_inverse, x_inverse, ring.raw_one(), scratch);
        }
        set_row(0, l, first_entry);
        set_row(1, l, x_inverse);
      }
      set_row(2, l, power);
      if (factored_) set_row(3, l, power_inverse);
      if (first + l >= windows_.count) continue;
      for (int i = 0; i < windows_.bits(first + l); ++i) {
        ring.square(power, power, scratch);
        if (factored_) ring.multiply_residues(power_inverse, power_inverse, power_inverse, scratch);
      }
    }
    gather(x, 0);
    gather(x_inverse, 1);
    gather(step, 2);
    if (factored_) gather(step_inverse, 3);
    fill_tables(first, x, step, x_inverse, step_inverse, scratch);
  }
}

void FixedBase::fill_tables(int first, Word* x, const Word* step, Word* inverse, const Word* inverse_step, Word* scratch) {
  const Arithmetic& ring = *arithmetic_;
  const int lanes = ring.lanes();
  Buffer entry_block(ring.block_words());
  Word* rows[kMaxLanes];
  for (std::uint32_t digit = 0; digit < (std::uint32_t{1} << windows_.bits(first)); ++digit) {
    for (int l = 0; l < lanes; ++l) {
      const bool wanted = first + l < windows_.count && digit >> windows_.bits(first + l) == 0;
      rows[l] = wanted ? const_cast<Word*>(entry(first + l, digit)) : nullptr;
    }
    std::memcpy(entry_block.data(), x, sizeof(Word) * ring.block_words());
    if (factored_) ring.factor(entry_block.data(), inverse, scratch);
    ring.scatter(rows, entry_block.data());
    ring.multiply(x, x, step, scratch);
    if (factored_) ring.multiply_residues(inverse, inverse, inverse_step, scratch);
  }
}

void FixedBase::power(Word* out, Numbers exponents, std::size_t count) const {
  const Arithmetic& ring = *arithmetic_;
  const std::size_t words = ring.block_words();
  const int lanes = ring.lanes();
  Buffer space(3 * words + ring.scratch_words());
  Word* x = space.data();
  Word* factor = x + words;
  Word* slopes = factor + words;
  Word* scratch = slopes + words;
  const Word* powers[kMaxLanes];
  const Word* now[kMaxLanes];
  const Word* next[kMaxLanes];
  Word* results[kMaxLanes];
  // Tables exceed the caches, and the addresses of the next entries are known a multiplication ahead.
  const auto look_up = [&](int table) {
    for (int l = 0; l < lanes; ++l) {
      next[l] = entry(table, bits_at(powers[l], exponents.limbs, windows_.first_bit(table), windows_.bits(table)));
      prefetch(next[l], ring.row_words());
    }
  };
  for (std::size_t first = 0; first < count; first += lanes) {
    for (int l = 0; l < lanes; ++l) {
      powers[l] = exponents.row(std::min(first + l, count - 1));
      results[l] = first + l < count ? out + (first + l) * ring.limbs() : nullptr;
    }
    look_up(0);
    for (int t = 0; t < windows_.count; ++t) {
      std::copy_n(next, lanes, now);
      if (t + 1 < windows_.count) look_up(t + 1);
      if (t == 0) {
        ring.gather(x, now);
        std::memcpy(slopes, x, sizeof(Word) * words);
        if (factored_) ring.clear_upper(x);
        continue;
      }
      ring.gather(factor, now);
      if (factored_) {
        ring.multiply_lower(x, x, factor, scratch);
        ring.add_slopes(slopes, factor);
      } else {
        ring.multiply(x, x, factor, scratch);
      }
    }
    if (factored_) ring.apply_slopes(x, slopes, scratch);
    ring.store(results, x, scratch);
  }
}

}  // namespace native
