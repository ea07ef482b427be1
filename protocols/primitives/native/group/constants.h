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

// The standard generator B, affine: x, y, x·y.
constexpr Constant kBaseX = {{0x2f4183e0918de5d2, 0x40971ffaa8a67c6c, 0xdd5bff856803537a, 0x1063e2cc8cfe80c3}};
constexpr Constant kBaseY = {{0xcc7edf80f533ad9b, 0x5d14c8ba4253df49, 0x061b3d570fc4ed5b, 0x159a6849e44c3c7f}};
constexpr Constant kBaseT = {{0x9221754c5a48224a, 0xdf0f607f88aead0a, 0x9915b1719b541c82, 0x1878a0f02874899a}};

// The order of the group.
constexpr Constant kOrder = {{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};

}  // namespace group
