"""ristretto255 in readable Python integers, written from RFC 9496 and RFC 9380 alone: the oracle for the fast code.

About 1 ms a multiplication, and not constant-time: never for anything secret.
"""

from __future__ import annotations

import dataclasses
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def is_negative(x: int) -> bool:
    """RFC 9496, section 3.1: negative means that the least significant bit of the reduced value is set."""
    return x % P % 2 == 1


def absolute(x: int) -> int:
    return -x % P if is_negative(x) else x % P


def sqrt_ratio_m1(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496, section 4.2: (was u/v square, its root or that of SQRT_M1·u/v, nonnegative)."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct_sign = check == u % P
    flipped_sign = check == -u % P
    flipped_sign_i = check == -u * SQRT_M1 % P
    if flipped_sign or flipped_sign_i:
        r = r * SQRT_M1 % P
    return correct_sign or flipped_sign, absolute(r)


SQRT_AD_MINUS_ONE = -sqrt_ratio_m1(-D - 1, 1)[1] % P  # RFC 9496, section 4.1, gives the negative root
INVSQRT_A_MINUS_D = sqrt_ratio_m1(1, -1 - D)[1]
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P


@dataclasses.dataclass(frozen=True)
class Element:
    """A representative in extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z on −x² + y² = 1 + d·x²·y²."""

    X: int
    Y: int
    Z: int
    T: int

    def __add__(self, other: Element) -> Element:
        """Hisil et al. 2008, unified addition for a = −1 (RFC 8032, section 5.1.4)."""
        a = (self.Y - self.X) * (other.Y - other.X)
        b = (self.Y + self.X) * (other.Y + other.X)
        c = 2 * D * self.T * other.T
        d = 2 * self.Z * other.Z
        e, f, g, h = b - a, d - c, d + c, b + a
        return Element(e * f % P, g * h % P, f * g % P, e * h % P)

    def __neg__(self) -> Element:
        return Element(-self.X % P, self.Y, self.Z, -self.T % P)

    def __sub__(self, other: Element) -> Element:
        return self + -other

    def __rmul__(self, scalar: int) -> Element:
        result, addend = IDENTITY, self
        while scalar:
            if scalar & 1:
                result += addend
            addend += addend
            scalar >>= 1
        return result


IDENTITY = Element(0, 1, 1, 0)


def decode(encoding: bytes) -> Element:
    """RFC 9496, section 4.3.1. Raises ValueError for anything but a canonical encoding."""
    s = int.from_bytes(encoding, "little")
    if len(encoding) != 32 or s >= P or is_negative(s):
        raise ValueError("not canonical")
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    v = (-(D * u1 * u1) - u2 * u2) % P
    was_square, invsqrt = sqrt_ratio_m1(1, v * u2 * u2)
    den_x = invsqrt * u2 % P
    den_y = invsqrt * den_x * v % P
    x = absolute(2 * s * den_x)
    y = u1 * den_y % P
    t = x * y % P
    if not was_square or is_negative(t) or y == 0:
        raise ValueError("not on the group")
    return Element(x, y, 1, t)


def encode(element: Element) -> bytes:
    """RFC 9496, section 4.3.2."""
    x0, y0, z0, t0 = element.X, element.Y, element.Z, element.T
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    _, invsqrt = sqrt_ratio_m1(1, u1 * u2 * u2)
    den1 = invsqrt * u1 % P
    den2 = invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    if is_negative(t0 * z_inv):
        x, y, den_inv = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, den_inv = x0, y0, den2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(den_inv * (z0 - y)).to_bytes(32, "little")


BASE = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))


def one_way_map(uniform: bytes) -> Element:
    """RFC 9496, section 4.3.4: 64 uniform bytes to an element."""
    return _map_half(uniform[:32]) + _map_half(uniform[32:])


def _map_half(half: bytes) -> Element:
    t = int.from_bytes(half, "little") % 2**255 % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio_m1(u, v)
    c = P - 1
    if not was_square:
        s = -absolute(s * t) % P
        c = r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return Element(w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P)


def expand_message_xmd(message: bytes, dst: bytes, size: int) -> bytes:
    """RFC 9380, section 5.3.1, with SHA-512."""
    if len(dst) > 255:
        dst = hashlib.sha512(b"H2C-OVERSIZE-DST-" + dst).digest()
    dst_prime = dst + bytes([len(dst)])
    b = [hashlib.sha512(bytes(128) + message + size.to_bytes(2, "big") + b"\0" + dst_prime).digest()]
    b.append(hashlib.sha512(b[0] + b"\1" + dst_prime).digest())
    while 64 * (len(b) - 1) < size:
        mixed = bytes(x ^ y for x, y in zip(b[0], b[-1], strict=True))
        b.append(hashlib.sha512(mixed + bytes([len(b)]) + dst_prime).digest())
    return b"".join(b[1:])[:size]


def hash_to_group(message: bytes, dst: bytes) -> Element:
    """RFC 9380, appendix B: hash_to_ristretto255."""
    return one_way_map(expand_message_xmd(message, dst, 64))
