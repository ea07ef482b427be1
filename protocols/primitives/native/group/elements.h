// Field elements modulo p = 2^255 − 19 in lanes, but for their products. Included once per path, inside that path's own
// namespace and without a guard, after these are defined:
//   GROUP_TARGET, GROUP_INLINE   the target attribute of every function here, and the same with forced inlining
//   V                            one word per lane: an integer, or a vector type of the compiler
//   Mask, choose(mask, a, b), equal(V, V), both(Mask, Mask), either(Mask, Mask), invert_mask(Mask), all_ones(Mask)
//   kLanes, kLimbs               lanes, and limbs of an element: 5 (radix 2^51) or 10 (radix 2^25.5)
//
// An element is *reduced* when its limbs have their width plus a fraction of a bit: every Fe is. Sums of products stay in
// the columns of a Wide, and are carried once. The bounds are in the files of the products.

constexpr int limb_offset(int k) { return kLimbs == 5 ? 51 * k : (51 * k + 1) / 2; }
constexpr int limb_bits(int k) { return limb_offset(k + 1) - limb_offset(k); }
constexpr Word limb_mask(int k) { return (Word{1} << limb_bits(k)) - 1; }
// Limb k of p.
constexpr Word limb_of_p(int k) { return limb_mask(k) - (k == 0 ? 18 : 0); }

struct Fe {
  V v[kLimbs];
};

GROUP_INLINE V load(const Word* words) {
  V value;
  std::memcpy(&value, words, sizeof value);
  return value;
}
GROUP_INLINE void store(Word* words, V value) { std::memcpy(words, &value, sizeof value); }
GROUP_INLINE V zero_lanes() { return V{}; }
GROUP_INLINE V all(Word word) { return zero_lanes() + word; }
GROUP_INLINE V times_19(V x) { return (x << 4) + (x << 1) + x; }

constexpr Word limb_of(const Word* words, int k) {
  const int word = limb_offset(k) / 64;
  const int shift = limb_offset(k) % 64;
  Word limb = words[word] >> shift;
  if (shift + limb_bits(k) > 64) limb |= words[word + 1] << (64 - shift);
  return limb & limb_mask(k);
}

GROUP_INLINE Fe constant(const Constant& value) {
  Fe result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = all(limb_of(value.words, k));
  return result;
}

// block: four words a lane, word i of lane l at i · kLanes + l. Bit 255 is dropped.
GROUP_INLINE Fe from_words(const Word* block) {
  Fe result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) {
    const int word = limb_offset(k) / 64;
    const int shift = limb_offset(k) % 64;
    V limb = load(block + kLanes * word) >> shift;
    if (shift + limb_bits(k) > 64) limb |= load(block + kLanes * (word + 1)) << (64 - shift);
    result.v[k] = limb & limb_mask(k);
  }
  return result;
}

// The one representative below p, in limbs of their width. The value of a reduced element is below 2p.
GROUP_INLINE Fe canonical(const Fe& x) {
  V quotient = (x.v[0] + Word{19}) >> limb_bits(0);
#pragma GCC unroll 10
  for (int k = 1; k < kLimbs; ++k) quotient = (x.v[k] + quotient) >> limb_bits(k);
  Fe result;
  V carry = times_19(quotient);
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) {
    const V limb = x.v[k] + carry;
    carry = limb >> limb_bits(k);
    result.v[k] = limb & limb_mask(k);
  }
  return result;
}

GROUP_INLINE void to_words(Word* block, const Fe& x) {
  const Fe limbs = canonical(x);
  V words[5] = {};
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) {
    const int word = limb_offset(k) / 64;
    const int shift = limb_offset(k) % 64;
    words[word] |= limbs.v[k] << shift;
    if (shift + limb_bits(k) > 64) words[word + 1] |= limbs.v[k] >> (64 - shift);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) store(block + kLanes * i, words[i]);
}

GROUP_INLINE Mask is_zero(const Fe& x) {
  const Fe limbs = canonical(x);
  V any = limbs.v[0];
#pragma GCC unroll 10
  for (int k = 1; k < kLimbs; ++k) any |= limbs.v[k];
  return equal(any, zero_lanes());
}

GROUP_INLINE Mask is_negative(const Fe& x) { return equal(canonical(x).v[0] & Word{1}, all(1)); }

// mask ? a : b, in each lane.
GROUP_INLINE Fe select(Mask mask, const Fe& a, const Fe& b) {
  Fe result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = choose(mask, a.v[k], b.v[k]);
  return result;
}
