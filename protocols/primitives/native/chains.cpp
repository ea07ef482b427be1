#include "chains.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace native {

namespace {

// Factors of one piece: enough pieces for every lane, and few enough that what a piece costs by itself does not count.
std::size_t piece_length(std::size_t factors, int lanes) {
  if (lanes == 1) return factors;
  return std::clamp<std::size_t>(factors / (16 * static_cast<std::size_t>(lanes)), 2, 256);
}

}  // namespace

Factors::Factors(const Arithmetic& ring, const Word* data, std::size_t stride, const std::uint32_t* order, bool raw, bool in_limbs)
    : ring_(ring), data_(data), stride_(stride), order_(order), raw_(raw), in_limbs_(in_limbs), absent_(stride) {
  if (in_limbs) {
    absent_.data()[0] = 1;
  } else {
    Word* rows[kMaxLanes] = {absent_.data()};
    ring.scatter(rows, raw ? ring.raw_one() : ring.one());
  }
}

Factors Factors::limbs(const Arithmetic& ring, Numbers numbers) {
  return Factors(ring, numbers.data, numbers.limbs, nullptr, true, true);
}

Factors Factors::rows(const Arithmetic& ring, const Word* rows, const std::uint32_t* order, bool raw) {
  return Factors(ring, rows, ring.row_words(), order, raw, false);
}

void Factors::find(const Word** rows, const std::size_t* positions) const {
  for (int l = 0; l < ring_.lanes(); ++l) {
    const std::size_t position = positions[l];
    rows[l] = position == kAbsent ? absent_.data() : data_ + (order_ != nullptr ? order_[position] : position) * stride_;
    prefetch(rows[l], stride_);
  }
}

void Factors::fetch(Word* block, const Word* const* rows, Word* scratch) const {
  if (in_limbs_) {
    ring_.load(block, rows, scratch);
  } else {
    ring_.gather(block, rows);
  }
}

Chains::Chains(const Arithmetic& ring)
    : ring_(ring),
      space_(2 * ring.block_words() + ring.scratch_words()),
      x_(space_.data()),
      factor_(x_ + ring.block_words()),
      scratch_(factor_ + ring.block_words()) {}

// The Montgomery form of R^exponent, that is R^(exponent + 1).
const Word* Chains::power_of_r(std::size_t exponent) {
  const auto found = powers_of_r_.find(exponent);
  if (found != powers_of_r_.end()) return found->second.data();
  Buffer result(ring_.block_words());
  std::memcpy(result.data(), ring_.one(), sizeof(Word) * ring_.block_words());
  Buffer scratch(ring_.scratch_words());
  for (std::size_t bit = std::size_t{1} << 62; bit != 0; bit >>= 1) {
    if (bit > exponent) continue;
    ring_.square(result.data(), result.data(), scratch.data());
    if ((exponent & bit) != 0) ring_.multiply(result.data(), result.data(), ring_.r_squared(), scratch.data());
  }
  return powers_of_r_.emplace(exponent, std::move(result)).first->second.data();
}

void Chains::short_products(Word* out, const Factors& factors, const std::vector<Segment>& segments) {
  // Lanes of one group do the same number of steps, so segments of about one length go together.
  std::vector<std::uint32_t> order(segments.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t i, std::uint32_t j) {
    return segments[i].length() > segments[j].length();
  });
  const int lanes = ring_.lanes();
  std::size_t positions[kMaxLanes];
  const Word* now[kMaxLanes];
  const Word* next[kMaxLanes];
  Word* rows[kMaxLanes];
  for (std::size_t group = 0; group < order.size(); group += lanes) {
    const std::size_t steps = std::max<std::size_t>(segments[order[group]].length(), 1);
    const auto find = [&](std::size_t step) {
      for (int l = 0; l < lanes; ++l) {
        positions[l] = Factors::kAbsent;
        if (group + l >= order.size()) continue;
        const Segment& segment = segments[order[group + l]];
        if (step < segment.length()) positions[l] = segment.first + step;
      }
      factors.find(next, positions);
    };
    find(0);
    for (std::size_t step = 0; step < steps; ++step) {
      std::copy_n(next, lanes, now);
      if (step + 1 < steps) find(step + 1);
      factors.fetch(step == 0 ? x_ : factor_, now, scratch_);
      if (step != 0) ring_.multiply(x_, x_, factor_, scratch_);
    }
    // Raw factors lose one R per multiplication; Montgomery forms keep theirs.
    if (factors.raw()) ring_.multiply(x_, x_, power_of_r(steps), scratch_);
    for (int l = 0; l < lanes; ++l) {
      rows[l] = group + l < order.size() ? out + order[group + l] * ring_.row_words() : nullptr;
    }
    ring_.scatter(rows, x_);
  }
}

void Chains::products(Word* out, const Factors& factors, const std::vector<Segment>& segments) {
  std::size_t total = 0;
  for (const Segment& segment : segments) total += segment.length();
  const std::size_t most = std::max<std::size_t>(piece_length(total, ring_.lanes()), 1);
  std::vector<Segment> pieces;
  std::vector<Segment> pieces_of_segment;
  pieces.reserve(segments.size());
  pieces_of_segment.reserve(segments.size());
  for (const Segment& segment : segments) {
    const std::size_t first_piece = pieces.size();
    for (std::size_t first = segment.first; first < segment.last; first += most) {
      pieces.push_back({first, std::min(first + most, segment.last)});
    }
    pieces_of_segment.push_back({first_piece, pieces.size()});
  }
  const bool whole = std::all_of(segments.begin(), segments.end(), [&](const Segment& s) { return s.length() <= most; });
  if (whole) {
    short_products(out, factors, segments);
    return;
  }
  Buffer rows(pieces.size() * ring_.row_words(), Buffer::Content::open);
  short_products(rows.data(), factors, pieces);
  products(out, Factors::rows(ring_, rows.data(), nullptr, false), pieces_of_segment);
}

}  // namespace native
