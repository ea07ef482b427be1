// Numbers of RFC 9496, section 4.1, and what follows from them: 64-bit words, the least significant first.
#pragma once

#include "../memory.h"

namespace group {

using native::Word;

struct Constant {
  Word words[4];
};

constexpr Constant kOne = {{1, 0, 0, 0}};
constexpr Constant kD = {{0x75eb4dca135978a3, 0x00700a4d4141d8ab, 0x8cc740797779e898, 0x52036cee2b6ffe73}};
constexpr Constant kTwiceD = {{0xebd69b9426b2f159, 0x00e0149a8283b156, 0x198e80f2eef3d130, 0x2406d9dc56dffce7}};
constexpr Constant kSqrtMinusOne = {{0xc4ee1b274a0ea0b0, 0x2f431806ad2fe478, 0x2b4d00993dfbd7a7, 0x2b8324804fc1df0b}};
constexpr Constant kInvSqrtAMinusD = {{0x99c8fdaa805d40ea, 0x9d2f16175a4172be, 0x16c27b91fe01d840, 0x786c8905cfaffca2}};
constexpr Constant kSqrtADMinusOne = {{0x7e97f6a0497b2e1b, 0xaf9d8e0c1b7854bd, 0x0f3cfcc931f5d1fd, 0x376931bf2b8348ac}};
constexpr Constant kOneMinusDSquared = {{0xe27c09c1945fc176, 0x2c81a138cd5e350f, 0x9994abddbe70dfe4, 0x029072a8b2b3e0d7}};
constexpr Constant kDMinusOneSquared = {{0x31ad5aaa44ed4d20, 0xd29e4a2cb01e1999, 0x4cdcd32f529b4eeb, 0x5968b37af66c2241}};

// The base point B of Ed25519 (RFC 8032), which stands for ristretto255's generator too, affine: x, y, x·y.
constexpr Constant kBaseX = {{0xc9562d608f25d51a, 0x692cc7609525a7b2, 0xc0a4e231fdd6dc5c, 0x216936d3cd6e53fe}};
constexpr Constant kBaseY = {{0x6666666666666658, 0x6666666666666666, 0x6666666666666666, 0x6666666666666666}};
constexpr Constant kBaseT = {{0x6dde8ab3a5b7dda3, 0x20f09f80775152f5, 0x66ea4e8e64abe37d, 0x67875f0fd78b7665}};

// (A − 2)/4 of Curve25519, A = 486662 (RFC 7748).
constexpr Constant kA24 = {{121665, 0, 0, 0}};

// The order of the group.
constexpr Constant kOrder = {{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};

}  // namespace group
