#include <algorithm>
#include <cmath>
#include <cstring>

#include "products.h"

namespace native {

namespace {

constexpr int kMaxWindow = 6;
constexpr std::size_t kTableBudgetBytes = std::size_t{64} << 20;

// How the work is cut: lanes work on rows of weights, and where these are fewer than lanes, on parts of a row.
struct Plan {
  int window;
  int windows;
  std::size_t parts;       // of a row
  std::size_t part_terms;  // the bases of a part are part, part + parts, ...
};

Plan plan_with(const Arithmetic& ring, std::size_t n, std::size_t rows, int weight_bits, int window) {
  const std::size_t lanes = ring.lanes();
  const std::size_t parts = std::min(std::max<std::size_t>(lanes / std::max<std::size_t>(rows, 1), 1), std::max<std::size_t>(n, 1));
  return {window, (weight_bits + window - 1) / window, parts, (n + parts - 1) / parts};
}

double cost_of(const Arithmetic& ring, std::size_t n, std::size_t rows, const Plan& plan, bool any_negative) {
  const double lanes = ring.lanes();
  const double tables = static_cast<double>(n) * (any_negative && rows > 1 ? 2 : 1) * (1 << plan.window) / lanes;
  const double groups = static_cast<double>((rows * plan.parts + ring.lanes() - 1) / ring.lanes());
  return tables + groups * plan.windows * (static_cast<double>(plan.part_terms) + 0.75 * plan.window);
}

Plan best_plan(const Arithmetic& ring, std::size_t n, std::size_t rows, int weight_bits, bool any_negative) {
  Plan best = plan_with(ring, n, rows, weight_bits, 1);
  for (int window = 2; window <= std::min(kMaxWindow, weight_bits); ++window) {
    const Plan plan = plan_with(ring, n, rows, weight_bits, window);
    if (cost_of(ring, n, rows, plan, any_negative) < cost_of(ring, n, rows, best, any_negative)) best = plan;
  }
  return best;
}

// A table per base and sign that occurs: its powers 0 .. 2^window - 1, as rows in Montgomery form.
class Tables {
 public:
  Tables(const Arithmetic& ring, Numbers bases, Numbers inverses, std::size_t n, const Weights& weights, int window)
      : ring_(ring), window_(window), places_(2 * n, kNone) {
    for (std::size_t i = 0; i < weights.rows * n; ++i) places_[2 * (i % n) + (weights.negative[i] ? 1 : 0)] = 0;
    for (std::size_t i = 0; i < 2 * n; ++i) {
      if (places_[i] == kNone) continue;
      places_[i] = used_.size();
      used_.push_back(i);
    }
    entries_ = Buffer((used_.size() << window_) * ring.row_words(), Buffer::Content::open);
    fill(bases, inverses);
  }

  const Word* entry(std::size_t base, bool negative, std::uint32_t digit) const {
    return row(places_[2 * base + (negative ? 1 : 0)], digit);
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  Word* row(std::size_t table, std::uint32_t digit) const {
    return const_cast<Word*>(entries_.data()) + ((table << window_) + digit) * ring_.row_words();
  }

  void fill(Numbers bases, Numbers inverses) {
    const std::size_t words = ring_.block_words();
    const int lanes = ring_.lanes();
    Buffer space(2 * words + ring_.scratch_words());
    Word* base = space.data();
    Word* x = base + words;
    Word* scratch = x + words;
    const Word* in[kMaxLanes];
    Word* out[kMaxLanes];
    for (std::size_t first = 0; first < used_.size(); first += lanes) {
      for (int l = 0; l < lanes; ++l) {
        const std::size_t which = used_[std::min(first + l, used_.size() - 1)];
        in[l] = (which % 2 == 0 ? bases : inverses).row(which / 2);
      }
      ring_.load(base, in, scratch);
      ring_.multiply(base, base, ring_.r_squared(), scratch);
      std::memcpy(x, ring_.one(), sizeof(Word) * words);
      for (std::uint32_t digit = 0; digit < std::uint32_t{1} << window_; ++digit) {
        if (digit == 1) std::memcpy(x, base, sizeof(Word) * words);
        if (digit > 1) ring_.multiply(x, x, base, scratch);
        for (int l = 0; l < lanes; ++l) out[l] = first + l < used_.size() ? row(first + l, digit) : nullptr;
        ring_.scatter(out, x);
      }
    }
  }

  const Arithmetic& ring_;
  int window_;
  std::vector<std::size_t> places_;  // of the table of (base, sign)
  std::vector<std::size_t> used_;    // (base, sign) of each table
  Buffer entries_;
};

// products[row * parts + part] = the product over that part of the row (rows in Montgomery form).
void multiply_parts(const Arithmetic& ring, Word* products, const Tables& tables, std::size_t n, const Weights& weights,
                    const Plan& plan) {
  const std::size_t words = ring.block_words();
  const int lanes = ring.lanes();
  const std::size_t jobs = weights.rows * plan.parts;
  Buffer space(2 * words + ring.scratch_words());
  Word* x = space.data();
  Word* factor = x + words;
  Word* scratch = factor + words;
  const Word* in[kMaxLanes];
  Word* out[kMaxLanes];
  for (std::size_t first = 0; first < jobs; first += lanes) {
    std::memcpy(x, ring.one(), sizeof(Word) * words);
    for (int w = plan.windows - 1; w >= 0; --w) {
      if (w != plan.windows - 1) {
        for (int i = 0; i < plan.window; ++i) ring.square(x, x, scratch);
      }
      for (std::size_t term = 0; term < plan.part_terms; ++term) {
        bool any = false;
        for (int l = 0; l < lanes; ++l) {
          const std::size_t job = std::min(first + l, jobs - 1);
          const std::size_t base = job % plan.parts + term * plan.parts;
          const std::size_t at = job / plan.parts * n + std::min(base, n - 1);
          const std::uint32_t digit =
              base < n ? bits_at(weights.magnitudes.row(at), weights.magnitudes.limbs, w * plan.window, plan.window) : 0;
          in[l] = tables.entry(std::min(base, n - 1), weights.negative[at], digit);
          any = any || digit != 0;
        }
        if (!any) continue;
        ring.gather(factor, in);
        ring.multiply(x, x, factor, scratch);
      }
    }
    for (int l = 0; l < lanes; ++l) out[l] = first + l < jobs ? products + (first + l) * ring.row_words() : nullptr;
    ring.scatter(out, x);
  }
}

// The first part of each row takes in the others.
void join_parts(const Arithmetic& ring, Word* products, std::size_t rows, std::size_t parts) {
  const std::size_t words = ring.block_words();
  Buffer space(2 * words + ring.scratch_words());
  Word* x = space.data();
  Word* factor = x + words;
  Word* scratch = factor + words;
  const Word* in[kMaxLanes];
  Word* out[kMaxLanes];
  for (std::size_t first = 0; first < rows; first += ring.lanes()) {
    for (std::size_t part = 0; part < parts; ++part) {
      for (int l = 0; l < ring.lanes(); ++l) {
        in[l] = products + (std::min(first + l, rows - 1) * parts + part) * ring.row_words();
      }
      ring.gather(part == 0 ? x : factor, in);
      if (part != 0) ring.multiply(x, x, factor, scratch);
    }
    for (int l = 0; l < ring.lanes(); ++l) {
      out[l] = first + l < rows ? products + (first + l) * parts * ring.row_words() : nullptr;
    }
    ring.scatter(out, x);
  }
}

}  // namespace

double table_cost(const Arithmetic& ring, std::size_t n, std::size_t rows, int weight_bits, bool any_negative) {
  const Plan plan = best_plan(ring, n, rows, weight_bits, any_negative);
  const double bytes = static_cast<double>((2 * n) << plan.window) * ring.row_words() * sizeof(Word);
  return bytes > kTableBudgetBytes ? HUGE_VAL : cost_of(ring, n, rows, plan, any_negative);
}

void table_powers(const Arithmetic& ring, Word* out, Numbers bases, Numbers inverses, std::size_t n, const Weights& weights) {
  if (weights.rows == 0) return;
  const bool any_negative = std::any_of(weights.negative, weights.negative + weights.rows * n, [](bool is) { return is; });
  const Plan plan = best_plan(ring, n, weights.rows, weights.bits, any_negative);
  const Tables tables(ring, bases, inverses, n, weights, plan.window);
  Buffer products(weights.rows * plan.parts * ring.row_words());
  multiply_parts(ring, products.data(), tables, n, weights, plan);
  if (plan.parts > 1) join_parts(ring, products.data(), weights.rows, plan.parts);
  store_rows(ring, out, products.data(), plan.parts * ring.row_words(), weights.rows);
}

}  // namespace native
