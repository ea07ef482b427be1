// Products of ten limbs, 26 and 25 bits in turn, by multiplications of 32-bit halves: what AVX-512F and AVX2 share. Included
// once per path, after elements.h and after `multiply_low`, the product of the low 32 bits of each lane.
//
// Limb k has weight 2^⌈25.5 k⌉: the product of two odd limbs counts twice, and what passes 2^255 counts 19 times.
//
// Bounds: limbs of an Fe are below 2^26 + 2^17 (even) and 2^25 + 2^17 (odd); 19 of one are below 2^30.3 and fit their 32 bits.
// A column of a product is largest at 0: 4 · 19 + 1 products of even limbs and 5 · 38 of odd ones, below 2^59.1; the odd columns
// stay below 2^58.4. `minus` adds p · 2^34: 2^60 on even columns, 2^59 on odd ones. The largest sum, in the doubling of a point,
// is below 2^61.4; its carries, below 2^36.4, go round in two chains, which leave less than 2^17 over in limbs 1 and 5.

struct Wide {
  V v[kLimbs];
};

// Products are calls: inlined, a ladder step would outgrow the instruction cache, which costs more than the loads and stores.
GROUP_TARGET __attribute__((noinline)) Wide product(const Fe& a, const Fe& b) {
  V folded[kLimbs];
  V twice_a[kLimbs];
#pragma GCC unroll 10
  for (int k = 1; k < kLimbs; ++k) folded[k] = multiply_low(b.v[k], all(19));
#pragma GCC unroll 10
  for (int k = 1; k < kLimbs; k += 2) twice_a[k] = a.v[k] + a.v[k];
  Wide result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) {
    V column = zero_lanes();
#pragma GCC unroll 10
    for (int i = 0; i < kLimbs; ++i) {
      const int j = (k - i + kLimbs) % kLimbs;
      column += multiply_low(i % 2 == 1 && j % 2 == 1 ? twice_a[i] : a.v[i], i <= k ? b.v[j] : folded[j]);
    }
    result.v[k] = column;
  }
  return result;
}

GROUP_TARGET __attribute__((noinline)) Wide square(const Fe& a) {
  V folded[kLimbs];
  V twice_a[kLimbs];
  V four_a[kLimbs];
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) {
    folded[k] = multiply_low(a.v[k], all(19));
    twice_a[k] = a.v[k] + a.v[k];
    four_a[k] = twice_a[k] + twice_a[k];
  }
  Wide result = {};
#pragma GCC unroll 10
  for (int i = 0; i < kLimbs; ++i) {
#pragma GCC unroll 10
    for (int j = i; j < kLimbs; ++j) {
      const bool both_odd = i % 2 == 1 && j % 2 == 1;
      const V factor = i == j ? (both_odd ? twice_a[i] : a.v[i]) : (both_odd ? four_a[i] : twice_a[i]);
      result.v[(i + j) % kLimbs] += multiply_low(factor, i + j < kLimbs ? a.v[j] : folded[j]);
    }
  }
  return result;
}

GROUP_INLINE Wide plus(const Wide& a, const Wide& b) {
  Wide result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + b.v[k];
  return result;
}
GROUP_INLINE Wide minus(const Wide& a, const Wide& b) {
  Wide result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k] + (limb_of_p(k) << 34) - b.v[k];
  return result;
}
GROUP_INLINE Wide twice(const Wide& a) { return plus(a, a); }
GROUP_INLINE Wide widen(const Fe& a) {
  Wide result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k];
  return result;
}

// Moves what limb k has too much to the next one.
GROUP_INLINE void carry_limb(Fe& a, int k) {
  const V over = a.v[k] >> limb_bits(k);
  a.v[k] &= limb_mask(k);
  if (k + 1 < kLimbs) {
    a.v[k + 1] += over;
  } else {
    a.v[0] += times_19(over);
  }
}

GROUP_INLINE Fe carry(const Wide& a) {
  Fe result;
#pragma GCC unroll 10
  for (int k = 0; k < kLimbs; ++k) result.v[k] = a.v[k];
  // Two chains at once, from limb 0 and from limb 4, since each waits for itself.
#pragma GCC unroll 10
  for (int k = 0; k < 4; ++k) {
    carry_limb(result, k);
    carry_limb(result, k + 4);
  }
  carry_limb(result, 4);
  carry_limb(result, 8);
  carry_limb(result, 9);
  carry_limb(result, 0);
  return result;
}
