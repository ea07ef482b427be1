// Kernels on one number at a time in 64-bit digits, over a row operation `Row::add_multiple`.
//
// Row::add_multiple(r, a, n, b): r[0..n) += a[0..n) * b, returns the carry.
#pragma once

#include <cstring>

#include "kernel.h"

namespace native::scalar {

using Wide = unsigned __int128;

template <class Row>
struct Operations {
  // Reduces row i of t (2h + 2 digits), where `top` belongs to digit h + i and the digits above that are still empty.
  static void reduce_row(Word* t, Word* m, int i, Wide top, const Ring& ring) {
    const int h = ring.digits;
    m[i] = t[i] * ring.negated_inverse;
    top += Row::add_multiple(t + i, ring.n.data(), h, m[i]);
    top += t[h + i];
    t[h + i] = static_cast<Word>(top);
    t[h + i + 1] += static_cast<Word>(top >> 64);
  }

  // Reduces all rows of a t whose upper digits are in use.
  static void reduce_rows(Word* t, Word* m, const Ring& ring) {
    const int h = ring.digits;
    Word carry = 0;
    for (int i = 0; i < h; ++i) {
      m[i] = t[i] * ring.negated_inverse;
      const Wide top = static_cast<Wide>(t[h + i]) + Row::add_multiple(t + i, ring.n.data(), h, m[i]) + carry;
      t[h + i] = static_cast<Word>(top);
      carry = static_cast<Word>(top >> 64);
    }
    t[2 * h] += carry;
  }

  static void start(Word* t, const Word* init, int h) {
    std::memset(t, 0, sizeof(Word) * (2 * h + 2));
    if (init != nullptr) std::memcpy(t, init, sizeof(Word) * (h + 1));
  }

  static void finish(Word* out, const Word* t, int h) { std::memcpy(out, t + h, sizeof(Word) * h); }

  static void reduce_product(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring& ring, Word* t) {
    const int h = ring.digits;
    start(t, init, h);
    for (int i = 0; i < h; ++i) reduce_row(t, m, i, Row::add_multiple(t + i, b, h, a[i]), ring);
    finish(out, t, h);
  }

  static void reduce_two_products(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Word* c,
                                  const Word* d, const Ring& ring, Word* t) {
    const int h = ring.digits;
    start(t, init, h);
    for (int i = 0; i < h; ++i) {
      Wide top = Row::add_multiple(t + i, b, h, a[i]);
      top += Row::add_multiple(t + i, d, h, c[i]);
      reduce_row(t, m, i, top, ring);
    }
    finish(out, t, h);
  }

  // t = 2 t + init, then reduced.
  static void double_and_reduce(Word* out, Word* m, const Word* init, const Ring& ring, Word* t) {
    const int h = ring.digits;
    Word carry = 0;
    for (int i = 0; i < 2 * h; ++i) {
      const Word above = t[i] >> 63;
      const Wide sum = static_cast<Wide>((t[i] << 1)) + carry + (init != nullptr && i <= h ? init[i] : 0);
      t[i] = static_cast<Word>(sum);
      carry = above + static_cast<Word>(sum >> 64);
    }
    reduce_rows(t, m, ring);
    finish(out, t, h);
  }

  static void reduce_doubled_product(Word* out, Word* m, const Word* init, const Word* a, const Word* b, const Ring& ring,
                                     Word* t) {
    const int h = ring.digits;
    start(t, nullptr, h);
    for (int i = 0; i < h; ++i) t[h + i] = Row::add_multiple(t + i, b, h, a[i]);
    double_and_reduce(out, m, init, ring, t);
  }

  static void reduce_square(Word* out, Word* m, const Word* init, const Word* a, const Ring& ring, Word* t) {
    const int h = ring.digits;
    start(t, nullptr, h);
    for (int i = 0; i + 1 < h; ++i) t[h + i] = Row::add_multiple(t + 2 * i + 1, a + i + 1, h - 1 - i, a[i]);
    Word carry = 0;
    Word shifted_out = 0;
    for (int i = 0; i < h; ++i) {
      const Wide square = static_cast<Wide>(a[i]) * a[i];
      const Word low = t[2 * i];
      const Word high = t[2 * i + 1];
      Wide sum = static_cast<Wide>((low << 1) | shifted_out) + static_cast<Word>(square) + carry;
      t[2 * i] = static_cast<Word>(sum);
      sum = static_cast<Wide>((high << 1) | (low >> 63)) + static_cast<Word>(square >> 64) + static_cast<Word>(sum >> 64);
      t[2 * i + 1] = static_cast<Word>(sum);
      carry = static_cast<Word>(sum >> 64);
      shifted_out = high >> 63;
    }
    if (init != nullptr) {
      Word up = 0;
      for (int i = 0; i < 2 * h; ++i) {
        const Wide sum = static_cast<Wide>(t[i]) + (i <= h ? init[i] : 0) + up;
        t[i] = static_cast<Word>(sum);
        up = static_cast<Word>(sum >> 64);
      }
    }
    reduce_rows(t, m, ring);
    finish(out, t, h);
  }

  static Word subtract_digits(Word* out, const Word* x, const Word* y, int h) {
    Word borrow = 0;
    for (int i = 0; i < h; ++i) {
      const Wide difference = static_cast<Wide>(x[i]) - y[i] - borrow;
      out[i] = static_cast<Word>(difference);
      borrow = static_cast<Word>(difference >> 64) & 1;
    }
    return borrow;
  }

  static void complement(Word* out, const Word* m, const Ring& ring) {
    const int h = ring.digits;
    out[h] = ring.bound[h] - subtract_digits(out, ring.bound.data(), m, h);
  }

  static void wide_product(Word* out, const Word* init, const Word* a, const Word* constant, int h) {
    std::memset(out, 0, sizeof(Word) * 2 * h);
    if (init != nullptr) std::memcpy(out, init, sizeof(Word) * h);
    for (int i = 0; i < h; ++i) out[h + i] = Row::add_multiple(out + i, constant, h, a[i]);
  }

  static void subtract(Word* out, const Word* x, const Word* y, int h) { subtract_digits(out, x, y, h); }

  static void accumulate(Word* sum, const Word* y, int h) {
    Word carry = 0;
    for (int i = 0; i < h; ++i) {
      const Wide digit = static_cast<Wide>(sum[i]) + y[i] + carry;
      sum[i] = static_cast<Word>(digit);
      carry = static_cast<Word>(digit >> 64);
    }
  }

  static void normalise(Word*, int) {}

  static void conditional_subtract(Word* x, const Word* constant, int digits, Word* scratch) {
    const Word keep = 0 - subtract_digits(scratch, x, constant, digits);
    for (int i = 0; i < digits; ++i) x[i] = (x[i] & keep) | (scratch[i] & ~keep);
  }

  static void from_rows(Word* block, const Word* const* rows, int words) {
    std::memcpy(block, rows[0], sizeof(Word) * words);
  }

  static void to_rows(Word* const* rows, const Word* block, int words) {
    if (rows[0] != nullptr) std::memcpy(rows[0], block, sizeof(Word) * words);
  }

  static void unpack(Word* block, const Word* limbs, int limb_count, int bit_offset, int digits) {
    const int skip = bit_offset / 64;
    const int shift = bit_offset % 64;
    for (int i = 0; i < digits; ++i) {
      const Word low = i + skip < limb_count ? limbs[i + skip] : 0;
      const Word high = i + skip + 1 < limb_count ? limbs[i + skip + 1] : 0;
      block[i] = static_cast<Word>((static_cast<Wide>(high) << 64 | low) >> shift);
    }
  }

  static void pack(Word* limbs, int limb_count, const Word* block, int digits) {
    for (int i = 0; i < limb_count; ++i) limbs[i] = i < digits ? block[i] : 0;
  }

  static void select(Word* out, const Word* table, int entries, const std::uint32_t* index, int words) {
    std::memset(out, 0, sizeof(Word) * words);
    for (int entry = 0; entry < entries; ++entry) {
      const Word difference = static_cast<Word>(entry) ^ index[0];
      const Word mask = ((difference | (0 - difference)) >> 63) - 1;
      for (int i = 0; i < words; ++i) out[i] |= table[static_cast<std::size_t>(entry) * words + i] & mask;
    }
  }

  static Kernel kernel(const char* path) {
    return {path, 1, 64, 1, false, reduce_product, reduce_two_products, reduce_square, reduce_doubled_product, complement,
            wide_product, subtract, accumulate, normalise, conditional_subtract, from_rows, to_rows, unpack, pack, select};
  }
};

}  // namespace native::scalar
