// Sums of ChaCha20 keystreams on vectors of ring elements.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stream {

constexpr std::size_t kKeyBytes = 32;

// Whether this processor runs the kernel; nothing else may be called where it does not.
bool is_available();

// target: `words` elements of Z_2^32 or Z_2^64, to which the keystream from block `counter` on (64-bit, zero nonce) is added
// for the first `plus` keys, and from which it is subtracted for the next `minus`.
void apply32(std::uint32_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
             std::size_t minus);
void apply64(std::uint64_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
             std::size_t minus);

}  // namespace stream
