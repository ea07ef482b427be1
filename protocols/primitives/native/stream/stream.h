// Sums of keystreams on vectors of ring elements, by ChaCha20 and by AES-256 in counter mode.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stream {

constexpr std::size_t kKeyBytes = 32;

// Whether this processor runs the kernel; its functions may not be called where it does not.
bool has_chacha();
bool has_aes();

// target: `words` elements of Z_2^32 or Z_2^64, to which the keystream from its byte 64 · counter on (zero nonce) is added for the
// first `plus` keys, and from which it is subtracted for the next `minus`.
void chacha32(std::uint32_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
              std::size_t minus);
void chacha64(std::uint64_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
              std::size_t minus);
void aes32(std::uint32_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
           std::size_t minus);
void aes64(std::uint64_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
           std::size_t minus);

}  // namespace stream
