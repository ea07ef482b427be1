// Field arithmetic above products. Included once per path, after elements.h and after these are defined:
//   Wide                       columns of sums of products
//   product, square            Fe -> Wide
//   plus, minus, twice, widen  on Wide; minus adds a multiple of p, so that no column goes negative
//   carry                      Wide -> Fe
//   kWays                      how many independent powers run interleaved: one alone would wait for its own results

GROUP_INLINE Fe multiply(const Fe& a, const Fe& b) { return carry(product(a, b)); }
GROUP_INLINE Fe squared(const Fe& a) { return carry(square(a)); }
GROUP_INLINE Fe add(const Fe& a, const Fe& b) { return carry(plus(widen(a), widen(b))); }
GROUP_INLINE Fe subtract(const Fe& a, const Fe& b) { return carry(minus(widen(a), widen(b))); }
GROUP_INLINE Fe negated(const Fe& a) { return subtract(Fe{}, a); }
GROUP_INLINE Fe absolute(const Fe& a) { return select(is_negative(a), negated(a), a); }
GROUP_INLINE Mask same(const Fe& a, const Fe& b) { return is_zero(subtract(a, b)); }

// x = x^(2^count) for each way.
GROUP_TARGET __attribute__((noinline)) void square_times(Fe* x, int count) {
  Fe y[kWays];
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) y[w] = x[w];
  for (int i = 0; i < count; ++i) {
#pragma GCC unroll 2
    for (int w = 0; w < kWays; ++w) y[w] = squared(y[w]);
  }
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) x[w] = y[w];
}

GROUP_TARGET __attribute__((noinline)) void multiply_by(Fe* x, const Fe* y) {
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) x[w] = multiply(x[w], y[w]);
}

struct Ways {
  Fe way[kWays];
};

// x^(2^count) · y.
GROUP_INLINE Ways shifted_product(const Ways& x, int count, const Ways& y) {
  Ways result = x;
  square_times(result.way, count);
  multiply_by(result.way, y.way);
  return result;
}

// x^(2^250 − 1) and x^11: the part that both exponents below share. The chain is that of Bernstein's Curve25519 code.
GROUP_TARGET __attribute__((noinline)) void power_250(Ways* high, Ways* eleven, const Ways& x) {
  Ways two = x;
  square_times(two.way, 1);
  const Ways nine = shifted_product(two, 2, x);
  *eleven = nine;
  multiply_by(eleven->way, two.way);
  const Ways p5 = shifted_product(*eleven, 1, nine);  // p_k = x^(2^k − 1)
  const Ways p10 = shifted_product(p5, 5, p5);
  const Ways p20 = shifted_product(p10, 10, p10);
  const Ways p40 = shifted_product(p20, 20, p20);
  const Ways p50 = shifted_product(p40, 10, p10);
  const Ways p100 = shifted_product(p50, 50, p50);
  const Ways p200 = shifted_product(p100, 100, p100);
  *high = shifted_product(p200, 50, p50);
}

// 1/x, and 0 for 0.
GROUP_TARGET Fe inverse(const Fe& x) {
  Ways in = {};
  in.way[0] = x;
  Ways high, eleven;
  power_250(&high, &eleven, in);
  return shifted_product(high, 5, eleven).way[0];
}

// RFC 9496, section 4.2, for each way: root = √(u/v), or √(i·u/v) where that is not a square; nonnegative.
GROUP_TARGET __attribute__((noinline)) void square_root_ratios(Mask* was_square, Fe* root, const Fe* u, const Fe* v) {
  Ways base, factor, high, unused;
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) {
    const Fe v3 = multiply(squared(v[w]), v[w]);
    factor.way[w] = multiply(u[w], v3);
    base.way[w] = multiply(factor.way[w], squared(squared(v[w])));
  }
  power_250(&high, &unused, base);
  high = shifted_product(high, 2, base);
  const Fe i = constant(kSqrtMinusOne);
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) {
    const Fe r = multiply(high.way[w], factor.way[w]);
    const Fe check = multiply(v[w], squared(r));
    const Fe minus_u = negated(u[w]);
    const Mask flipped = same(check, minus_u);
    const Mask flipped_i = same(check, multiply(minus_u, i));
    was_square[w] = either(same(check, u[w]), flipped);
    root[w] = absolute(select(either(flipped, flipped_i), multiply(r, i), r));
  }
}
