#include <algorithm>
#include <cstring>

#include "chains.h"
#include "products.h"

namespace native {

namespace {

constexpr std::size_t kRowBudgetBytes = std::size_t{64} << 20;
constexpr std::size_t kEntryBudget = std::size_t{1} << 22;

void fill_rows(const Arithmetic& ring, Word* rows, std::size_t count, const Word* block) {
  for (std::size_t i = 0; i < count; ++i) {
    Word* targets[kMaxLanes] = {rows + i * ring.row_words()};
    ring.scatter(targets, block);
  }
}

// Pippenger's method on one range of bases and some rows of weights. A *pair* is one window of one row of weights, for one
// sign; its buckets d = 1 .. 2^window - 1 collect the bases whose digit is d.
class Buckets {
 public:
  Buckets(const Arithmetic& ring, int window, int windows, int signs)
      : ring_(ring),
        window_(window),
        windows_(windows),
        signs_(signs),
        words_(ring.block_words()),
        row_words_(ring.row_words()),
        space_(4 * words_ + ring.scratch_words()),
        absent_(row_words_),
        chains_(ring) {
    fill_rows(ring, absent_.data(), 1, ring.one());
  }

  std::size_t pairs(std::size_t rows) const { return rows * windows_ * signs_; }

  // results[row * signs + sign] *= the product for that row and sign (rows in Montgomery form).
  void run(Word* results, const Word* bases, std::size_t first, std::size_t n, const Weights& weights, std::size_t total_n,
           std::size_t first_row, std::size_t rows) {
    collect(bases, first, n, weights, total_n, first_row, rows);
    weigh(rows);
    join_windows(results, rows);
  }

 private:
  std::size_t bucket_count() const { return std::size_t{1} << window_; }

  // Sorts the bases by bucket and multiplies each bucket's.
  void collect(const Word* bases, std::size_t first, std::size_t n, const Weights& weights, std::size_t total_n,
               std::size_t first_row, std::size_t rows) {
    const std::size_t buckets = pairs(rows) * bucket_count();
    std::vector<std::uint32_t> ends(buckets + 1, 0);
    const auto each_entry = [&](const auto& visit) {
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t i = 0; i < n; ++i) {
          const std::size_t at = (first_row + row) * total_n + first + i;
          const int sign = signs_ == 2 && weights.negative[at] ? 1 : 0;
          for (int w = 0; w < windows_; ++w) {
            const std::uint32_t digit = bits_at(weights.magnitudes.row(at), weights.magnitudes.limbs, w * window_, window_);
            if (digit != 0) visit((((row * windows_ + w) * signs_ + sign) << window_) + digit, static_cast<std::uint32_t>(i));
          }
        }
      }
    };
    each_entry([&](std::size_t bucket, std::uint32_t) { ++ends[bucket + 1]; });
    for (std::size_t b = 0; b < buckets; ++b) ends[b + 1] += ends[b];
    std::vector<Segment> segments(buckets);
    for (std::size_t b = 0; b < buckets; ++b) segments[b] = {ends[b], ends[b + 1]};
    std::vector<std::uint32_t> order(ends[buckets]);
    each_entry([&](std::size_t bucket, std::uint32_t i) { order[ends[bucket]++] = i; });
    buckets_ = Buffer(buckets * row_words_, Buffer::Content::open);
    chains_.products(buckets_.data(), Factors::rows(ring_, bases, order.data(), true), segments);
  }

  const Word* bucket(std::size_t pair, std::size_t digit) const {
    return digit < bucket_count() ? buckets_.data() + ((pair << window_) + digit) * row_words_ : absent_.data();
  }

  // pair_rows_[pair] = prod_d bucket_d^d by running products. With few pairs the buckets of each are cut into 8 parts of
  // `steps`, d = part * steps + i: the parts' products to the power i, times (prod_part plain^part)^steps.
  void weigh(std::size_t rows) {
    const std::size_t count = pairs(rows);
    const std::size_t parts = ring_.lanes() > 1 && window_ >= 5 && count < 64 ? 8 : 1;
    const std::size_t steps = bucket_count() / parts;
    const int lanes = ring_.lanes();
    Buffer plain(count * parts * row_words_);
    Buffer weighed(count * parts * row_words_);
    Word* sum = space_.data();
    Word* total = sum + words_;
    Word* factor = total + words_;
    Word* scratch = factor + 2 * words_;
    const Word* in[kMaxLanes];
    Word* plain_rows[kMaxLanes];
    Word* weighed_rows[kMaxLanes];
    for (std::size_t first = 0; first < count * parts; first += lanes) {
      for (std::size_t i = steps; i > 0; --i) {
        for (int l = 0; l < lanes; ++l) {
          const std::size_t job = first + l;
          in[l] = job < count * parts ? bucket(job / parts, job % parts * steps + i) : absent_.data();
          // The step after this one reads the bucket below.
          if (job < count * parts && i > 1) prefetch(bucket(job / parts, job % parts * steps + i - 1), row_words_);
        }
        if (i == steps) {
          ring_.gather(sum, in);
          std::memcpy(total, sum, sizeof(Word) * words_);
          continue;
        }
        ring_.gather(factor, in);
        ring_.multiply(sum, sum, factor, scratch);
        ring_.multiply(total, total, sum, scratch);
      }
      for (int l = 0; l < lanes; ++l) {
        const bool wanted = first + l < count * parts;
        plain_rows[l] = wanted ? plain.data() + (first + l) * row_words_ : nullptr;
        weighed_rows[l] = wanted ? weighed.data() + (first + l) * row_words_ : nullptr;
      }
      ring_.scatter(plain_rows, sum);
      ring_.scatter(weighed_rows, total);
    }
    if (parts == 1) {
      pair_rows_ = std::move(weighed);
      return;
    }
    pair_rows_ = Buffer(count * row_words_);
    join_parts(plain, weighed, count, parts, steps);
  }

  void join_parts(const Buffer& plain, const Buffer& weighed, std::size_t count, std::size_t parts, std::size_t steps) {
    const int lanes = ring_.lanes();
    Word* sum = space_.data();
    Word* total = sum + words_;
    Word* factor = total + words_;
    Word* scratch = factor + 2 * words_;
    const Word* in[kMaxLanes];
    Word* out[kMaxLanes];
    for (std::size_t first = 0; first < count; first += lanes) {
      const auto fetch = [&](const Buffer& rows, std::size_t part) {
        for (int l = 0; l < lanes; ++l) {
          in[l] = rows.data() + (std::min(first + l, count - 1) * parts + part) * row_words_;
        }
        ring_.gather(factor, in);
      };
      std::memcpy(sum, ring_.one(), sizeof(Word) * words_);
      std::memcpy(total, ring_.one(), sizeof(Word) * words_);
      for (std::size_t part = parts - 1; part > 0; --part) {
        fetch(plain, part);
        ring_.multiply(sum, sum, factor, scratch);
        ring_.multiply(total, total, sum, scratch);
      }
      for (std::size_t power = 1; power < steps; power *= 2) ring_.square(total, total, scratch);
      for (std::size_t part = 0; part < parts; ++part) {
        fetch(weighed, part);
        ring_.multiply(total, total, factor, scratch);
      }
      for (int l = 0; l < lanes; ++l) out[l] = first + l < count ? pair_rows_.data() + (first + l) * row_words_ : nullptr;
      ring_.scatter(out, total);
    }
  }

  // results *= prod_w pair_w^(2^(window w)), by Horner's rule.
  void join_windows(Word* results, std::size_t rows) {
    const int lanes = ring_.lanes();
    const std::size_t count = rows * signs_;
    Word* x = space_.data();
    Word* factor = x + words_;
    Word* scratch = factor + 3 * words_;
    const Word* in[kMaxLanes];
    Word* out[kMaxLanes];
    for (std::size_t first = 0; first < count; first += lanes) {
      for (int w = windows_ - 1; w >= 0; --w) {
        for (int l = 0; l < lanes; ++l) {
          const std::size_t job = std::min(first + l, count - 1);
          in[l] = pair_rows_.data() + ((job / signs_ * windows_ + w) * signs_ + job % signs_) * row_words_;
        }
        if (w == windows_ - 1) {
          ring_.gather(x, in);
          continue;
        }
        for (int i = 0; i < window_; ++i) ring_.square(x, x, scratch);
        ring_.gather(factor, in);
        ring_.multiply(x, x, factor, scratch);
      }
      for (int l = 0; l < lanes; ++l) {
        in[l] = results + std::min(first + l, count - 1) * row_words_;
        out[l] = first + l < count ? results + (first + l) * row_words_ : nullptr;
      }
      ring_.gather(factor, in);
      ring_.multiply(x, x, factor, scratch);
      ring_.scatter(out, x);
    }
  }

  const Arithmetic& ring_;
  int window_;
  int windows_;
  int signs_;
  std::size_t words_;
  std::size_t row_words_;
  Buffer space_;
  Buffer absent_;
  Chains chains_;
  Buffer buckets_;    // pairs x 2^window rows
  Buffer pair_rows_;  // pairs rows
};

// Multiplications for one row of n weights, and for `rows` of them in groups of lanes.
double bucket_row_cost(std::size_t n, int weight_bits, int signs, int window) {
  const double windows = (weight_bits + window - 1) / window;
  return windows * (static_cast<double>(n) + signs * 2.0 * (1 << window));
}

int bucket_window(std::size_t n, int weight_bits, int signs) {
  int best = 1;
  for (int w = 2; w <= std::min(weight_bits, 16); ++w) {
    if (bucket_row_cost(n, weight_bits, signs, w) < bucket_row_cost(n, weight_bits, signs, best)) best = w;
  }
  return best;
}

}  // namespace

double bucket_cost(const Arithmetic& ring, std::size_t n, std::size_t rows, int weight_bits, bool any_negative) {
  const int signs = any_negative ? 2 : 1;
  const double groups = static_cast<double>((rows * signs + ring.lanes() - 1) / ring.lanes());
  const double row = bucket_row_cost(n, weight_bits, signs, bucket_window(n, weight_bits, signs));
  return row * static_cast<double>(rows) / ring.lanes() + groups * weight_bits;
}

void bucket_powers(const Arithmetic& ring, Word* positive, Word* negative, Numbers bases, std::size_t n,
                   const Weights& weights) {
  const std::size_t rows = weights.rows;
  if (rows == 0) return;
  const bool any_negative = std::any_of(weights.negative, weights.negative + rows * n, [](bool is) { return is; });
  const int sign_count = any_negative ? 2 : 1;
  const std::size_t row_words = ring.row_words();
  Buffer results(rows * sign_count * row_words);
  fill_rows(ring, results.data(), rows * sign_count, ring.one());
  const std::size_t chunk = std::min(std::max<std::size_t>(kRowBudgetBytes / (row_words * sizeof(Word)), 1024), kEntryBudget);
  Buffer base_rows(std::min(n, chunk) * row_words, Buffer::Content::open);
  for (std::size_t first = 0; first < n && weights.bits > 0; first += chunk) {
    const std::size_t here = std::min(chunk, n - first);
    load_rows(ring, base_rows.data(), bases, first, here);
    const int window = bucket_window(here, weights.bits, sign_count);
    const int windows = (weights.bits + window - 1) / window;
    Buckets buckets(ring, window, windows, sign_count);
    const std::size_t row_bytes = (buckets.pairs(1) << window) * row_words * sizeof(Word);
    const std::size_t batch = std::max<std::size_t>(
        std::min(kEntryBudget / (here * windows), kRowBudgetBytes / row_bytes), 1);
    for (std::size_t row = 0; row < rows; row += batch) {
      buckets.run(results.data() + row * sign_count * row_words, base_rows.data(), first, here, weights, n, row,
                  std::min(batch, rows - row));
    }
  }
  store_rows(ring, positive, results.data(), sign_count * row_words, rows);
  if (sign_count == 2) {
    store_rows(ring, negative, results.data() + row_words, sign_count * row_words, rows);
  } else {
    for (std::size_t i = 0; i < rows; ++i) {
      std::memset(negative + i * ring.limbs(), 0, sizeof(Word) * ring.limbs());
      negative[i * ring.limbs()] = 1;
    }
  }
}

}  // namespace native
