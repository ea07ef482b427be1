// Points of −x² + y² = 1 + d·x²·y² in extended coordinates x = X/Z, y = Y/Z, x·y = T/Z, and their encodings (RFC 9496,
// section 4.3). Formulas of Hisil, Wong, Carter, Dawson (2008) for a = −1, complete: no operand needs a case of its own.
// Included once per path, after field.h.
//
// Every sum stays in the columns of the products it is made of: an operation carries as often as it multiplies.

struct Projective {
  Fe x, y, z;
};
struct Extended {
  Fe x, y, z, t;
};
// The left operand of an addition: y + x and y − x instead of x and y.
struct Ready {
  Fe sum, difference, z, t;
};
// The right operand.
struct Cached {
  Fe sum, difference, twice_z, t_2d;
};
// The right operand with z = 1.
struct Niels {
  Fe sum, difference, t_2d;
};
// x = e·f, y = g·h, z = f·g, t = e·h.
struct Completed {
  Fe e, f, g, h;
};

GROUP_INLINE Projective to_projective(const Completed& p) {
  return {multiply(p.e, p.f), multiply(p.g, p.h), multiply(p.f, p.g)};
}
GROUP_INLINE Extended to_extended(const Completed& p) {
  return {multiply(p.e, p.f), multiply(p.g, p.h), multiply(p.f, p.g), multiply(p.e, p.h)};
}
GROUP_INLINE Ready to_ready(const Completed& p) {
  const Wide x = product(p.e, p.f);
  const Wide y = product(p.g, p.h);
  return {carry(plus(y, x)), carry(minus(y, x)), multiply(p.f, p.g), multiply(p.e, p.h)};
}
GROUP_INLINE Ready to_ready(const Extended& p) { return {add(p.y, p.x), subtract(p.y, p.x), p.z, p.t}; }
GROUP_INLINE Cached to_cached(const Ready& p) {
  return {p.sum, p.difference, carry(twice(widen(p.z))), multiply(p.t, constant(kTwiceD))};
}
GROUP_INLINE Ready identity() {
  const Fe one = constant(kOne);
  return {one, one, one, Fe{}};
}

GROUP_INLINE Completed doubled(const Projective& p) {
  const Wide xx = square(p.x);
  const Wide yy = square(p.y);
  const Wide zz = twice(square(p.z));
  return {carry(twice(product(p.x, p.y))), carry(plus(minus(zz, yy), xx)), carry(minus(yy, xx)), carry(plus(yy, xx))};
}

// The end of an addition: a = (y1−x1)(y2−x2), b = (y1+x1)(y2+x2), c = 2d·t1·t2, d = 2·z1·z2. The negative of the right operand
// has `a` and `b` swapped, which is the caller's business, and c negated.
GROUP_INLINE Completed completed(const Wide& a, const Wide& b, const Wide& c, const Wide& d, Mask negate) {
  const Fe f = carry(minus(d, c));
  const Fe g = carry(plus(d, c));
  return {carry(minus(b, a)), select(negate, g, f), select(negate, f, g), carry(plus(b, a))};
}

// p + q, or p − q where negate says so.
GROUP_INLINE Completed added(const Ready& p, const Cached& q, Mask negate) {
  return completed(product(p.difference, select(negate, q.sum, q.difference)),
                   product(p.sum, select(negate, q.difference, q.sum)), product(p.t, q.t_2d), product(p.z, q.twice_z), negate);
}
GROUP_INLINE Completed added(const Ready& p, const Niels& q, Mask negate) {
  return completed(product(p.difference, select(negate, q.sum, q.difference)),
                   product(p.sum, select(negate, q.difference, q.sum)), product(p.t, q.t_2d), twice(widen(p.z)), negate);
}

// Section 4.3.1 for each way. s: below p and even, which the caller has checked.
GROUP_TARGET __attribute__((noinline)) void decode(Mask* valid, Extended* points, const Fe* s) {
  const Fe one = constant(kOne);
  Fe u1[kWays], u2[kWays], v[kWays], v_u2u2[kWays], ones[kWays], root[kWays];
  Mask was_square[kWays];
  for (int w = 0; w < kWays; ++w) {
    const Fe ss = squared(s[w]);
    u1[w] = subtract(one, ss);
    u2[w] = add(one, ss);
    const Fe u2u2 = squared(u2[w]);
    v[w] = negated(add(multiply(constant(kD), squared(u1[w])), u2u2));
    v_u2u2[w] = multiply(v[w], u2u2);
    ones[w] = one;
  }
  square_root_ratios(was_square, root, ones, v_u2u2);
  for (int w = 0; w < kWays; ++w) {
    const Fe den_x = multiply(root[w], u2[w]);
    const Fe den_y = multiply(multiply(root[w], den_x), v[w]);
    Extended& p = points[w];
    p.x = absolute(carry(twice(product(s[w], den_x))));
    p.y = multiply(u1[w], den_y);
    p.z = one;
    p.t = multiply(p.x, p.y);
    valid[w] = both(was_square[w], invert_mask(either(is_negative(p.t), is_zero(p.y))));
  }
}

// Section 4.3.2 for each way.
GROUP_TARGET __attribute__((noinline)) void encode(Fe* s, const Extended* points) {
  const Fe i = constant(kSqrtMinusOne);
  Fe u1[kWays], u2[kWays], ones[kWays], square_of[kWays], root[kWays];
  Mask unused[kWays];
  for (int w = 0; w < kWays; ++w) {
    const Extended& p = points[w];
    u1[w] = multiply(add(p.z, p.y), subtract(p.z, p.y));
    u2[w] = multiply(p.x, p.y);
    ones[w] = constant(kOne);
    square_of[w] = multiply(u1[w], squared(u2[w]));
  }
  square_root_ratios(unused, root, ones, square_of);
  for (int w = 0; w < kWays; ++w) {
    const Extended& p = points[w];
    const Fe den1 = multiply(root[w], u1[w]);
    const Fe den2 = multiply(root[w], u2[w]);
    const Fe z_inverse = multiply(multiply(den1, den2), p.t);
    const Mask rotate = is_negative(multiply(p.t, z_inverse));
    const Fe x = select(rotate, multiply(p.y, i), p.x);
    const Fe y = select(rotate, multiply(p.x, i), p.y);
    const Fe den_inverse = select(rotate, multiply(den1, constant(kInvSqrtAMinusD)), den2);
    const Fe z_minus_y = select(is_negative(multiply(x, z_inverse)), add(p.z, y), subtract(p.z, y));
    s[w] = absolute(multiply(den_inverse, z_minus_y));
  }
}

// Section 4.3.4, the map of one half, for each way; bit 255 of t is already dropped.
GROUP_TARGET __attribute__((noinline)) void map_half(Extended* points, const Fe* t) {
  const Fe one = constant(kOne);
  const Fe d = constant(kD);
  const Fe minus_one = negated(one);
  Fe r[kWays], u[kWays], v[kWays], root[kWays];
  Mask was_square[kWays];
  for (int w = 0; w < kWays; ++w) {
    r[w] = multiply(constant(kSqrtMinusOne), squared(t[w]));
    u[w] = multiply(add(r[w], one), constant(kOneMinusDSquared));
    v[w] = multiply(subtract(minus_one, multiply(r[w], d)), add(r[w], d));
  }
  square_root_ratios(was_square, root, u, v);
  for (int w = 0; w < kWays; ++w) {
    const Fe s = select(was_square[w], root[w], negated(absolute(multiply(root[w], t[w]))));
    const Fe c = select(was_square[w], minus_one, r[w]);
    const Fe n = subtract(multiply(multiply(c, subtract(r[w], one)), constant(kDMinusOneSquared)), v[w]);
    const Fe ss = squared(s);
    const Fe w0 = carry(twice(product(s, v[w])));
    const Fe w1 = multiply(n, constant(kSqrtADMinusOne));
    const Fe w2 = subtract(one, ss);
    const Fe w3 = add(one, ss);
    points[w] = {multiply(w0, w3), multiply(w2, w1), multiply(w1, w3), multiply(w0, w2)};
  }
}

// What the encoding of 2p needs but for one inverse: unlike that of p, it needs no square root (M. Hamburg; the batched form
// is that of curve25519-dalek's double_and_compress_batch).
struct Halfway {
  Fe e, f, g, h, eg, fh, denominator;  // denominator: eg·fh, and 1 instead of 0
  Mask is_identity;
};

GROUP_INLINE Halfway halfway(const Extended& p) {
  Halfway state;
  const Wide zz = square(p.z);
  const Wide dtt = product(squared(p.t), constant(kD));
  state.e = carry(twice(product(p.x, p.y)));
  state.f = carry(plus(zz, dtt));
  state.g = carry(plus(square(p.y), square(p.x)));
  state.h = carry(minus(zz, dtt));
  state.eg = multiply(state.e, state.g);
  state.fh = multiply(state.f, state.h);
  const Fe denominator = multiply(state.eg, state.fh);
  state.is_identity = is_zero(denominator);
  state.denominator = select(state.is_identity, constant(kOne), denominator);
  return state;
}

// The encoding of 2p, given the inverse of the denominator.
GROUP_INLINE Fe encode_doubled(const Halfway& p, const Fe& inverse_denominator) {
  const Fe z_inverse = multiply(p.eg, inverse_denominator);
  const Fe t_inverse = multiply(p.fh, inverse_denominator);
  const Mask rotate = is_negative(multiply(p.eg, z_inverse));
  const Fe e = select(rotate, p.g, p.e);
  const Fe g = select(rotate, negated(p.e), p.g);
  const Fe h = select(rotate, multiply(p.f, constant(kSqrtMinusOne)), p.h);
  const Fe magic = select(rotate, constant(kSqrtMinusOne), constant(kInvSqrtAMinusD));
  const Fe signed_g = select(is_negative(multiply(multiply(h, e), z_inverse)), negated(g), g);
  const Fe s = multiply(subtract(h, signed_g), multiply(magic, multiply(signed_g, t_inverse)));
  return select(p.is_identity, Fe{}, absolute(s));
}
