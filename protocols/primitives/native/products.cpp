#include "products.h"

#include <algorithm>

#include "chains.h"

namespace native {

void store_rows(const Arithmetic& ring, Word* out, const Word* rows, std::size_t stride, std::size_t count) {
  Buffer space(ring.block_words() + ring.scratch_words());
  Word* x = space.data();
  Word* scratch = x + ring.block_words();
  const Word* in[kMaxLanes];
  Word* results[kMaxLanes];
  for (std::size_t first = 0; first < count; first += ring.lanes()) {
    for (int l = 0; l < ring.lanes(); ++l) {
      in[l] = rows + std::min(first + l, count - 1) * stride;
      results[l] = first + l < count ? out + (first + l) * ring.limbs() : nullptr;
    }
    ring.gather(x, in);
    ring.multiply(x, x, ring.raw_one(), scratch);
    ring.store(results, x, scratch);
  }
}

void load_rows(const Arithmetic& ring, Word* rows, Numbers numbers, std::size_t first, std::size_t count) {
  Buffer space(ring.block_words() + ring.scratch_words());
  Word* x = space.data();
  Word* scratch = x + ring.block_words();
  const Word* in[kMaxLanes];
  Word* targets[kMaxLanes];
  for (std::size_t i = 0; i < count; i += ring.lanes()) {
    for (int l = 0; l < ring.lanes(); ++l) {
      in[l] = numbers.row(first + std::min(i + l, count - 1));
      targets[l] = i + l < count ? rows + (i + l) * ring.row_words() : nullptr;
    }
    ring.load(x, in, scratch);
    ring.scatter(targets, x);
  }
}

void segment_products(const Arithmetic& ring, Word* out, Numbers a, const std::int64_t* starts, std::size_t count) {
  if (count == 0) return;
  std::vector<Segment> segments(count);
  for (std::size_t i = 0; i < count; ++i) {
    segments[i] = {static_cast<std::size_t>(starts[i]), static_cast<std::size_t>(starts[i + 1])};
  }
  Buffer rows(count * ring.row_words(), Buffer::Content::open);
  Chains(ring).products(rows.data(), Factors::limbs(ring, a), segments);
  store_rows(ring, out, rows.data(), ring.row_words(), count);
}

bool prefers_tables(const Arithmetic& ring, std::size_t n, std::size_t rows, int weight_bits, bool any_negative) {
  return table_cost(ring, n, rows, weight_bits, any_negative) < bucket_cost(ring, n, rows, weight_bits, any_negative);
}

}  // namespace native
