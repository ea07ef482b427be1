// What one instruction path provides: ristretto255 (RFC 9496), Ed25519's verification and X25519 on rows of bytes. Points and
// scalars are rows of 32 bytes.
//
// A row of the result is zero, the identity's encoding, where an input row is not a canonical encoding. Scalars are taken
// modulo 2^255, as libsodium does, and need not be below the group's order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../memory.h"

namespace group {

using native::Word;
using Byte = std::uint8_t;

constexpr int kRowBytes = 32;
constexpr int kUniformBytes = 64;
constexpr int kDigits = 64;  // of a scalar, in base 16

struct Path {
  const char* name;

  // uniform: rows of 64 bytes.
  void (*from_uniform)(Byte* out, const Byte* uniform, std::size_t rows);
  // out = scalar · point. A step is the distance of rows in bytes: kRowBytes, or 0 for one row shared by all.
  void (*multiply)(Byte* out, const Byte* scalars, std::size_t scalar_step, const Byte* points, std::size_t point_step,
                   std::size_t rows);
  // out = scalar · point by a table of the one point that is made first: worth its cost from some rows on.
  void (*multiply_fixed)(Byte* out, const Byte* scalars, const Byte* point, std::size_t rows);
  // out = scalar · B; the table is made once in the life of the process.
  void (*multiply_base)(Byte* out, const Byte* scalars, std::size_t rows);
  // out = a + b, or a − b.
  void (*add)(Byte* out, const Byte* a, const Byte* b, bool negate, std::size_t rows);
  // out: one byte a row, 1 where the row is a canonical encoding, else 0.
  void (*is_valid)(Byte* out, const Byte* points, std::size_t rows);
  // out: one byte a row, 1 where the Ed25519 signature holds, else 0. hashes: rows of 64 bytes, SHA-512(R ‖ key ‖ message).
  // signatures: rows of 64 bytes, R ‖ s.
  void (*verify)(Byte* out, const Byte* keys, const Byte* hashes, const Byte* signatures, std::size_t rows);
  // out = X25519(scalar, u-coordinate): 32 bytes a row, zero for a point of small order. scalar_step as for multiply.
  void (*agree)(Byte* out, const Byte* scalars, std::size_t scalar_step, const Byte* points, std::size_t rows);
};

const Path& portable_path();
#if defined(__x86_64__)
const Path& avx2_path();
const Path& avx512_path();
const Path& ifma_path();
#endif

// Names of the paths that this processor can run, the fastest first.
std::vector<std::string> available_paths();

// The path of that name. Throws std::invalid_argument if it is not available.
const Path& find_path(const std::string& name);

}  // namespace group
