// Runs the keystream kernels on random sizes, counters and keys against plain ChaCha20 and AES; built with sanitizers by sanitize.py.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "stream/stream.h"

namespace {

std::mt19937_64 choice;

std::uint32_t rotate(std::uint32_t x, int bits) { return (x << bits) | (x >> (32 - bits)); }

void quarter(std::uint32_t* v, int a, int b, int c, int d) {
  v[a] += v[b]; v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d]; v[b] = rotate(v[b] ^ v[c], 12);
  v[a] += v[b]; v[d] = rotate(v[d] ^ v[a], 8);
  v[c] += v[d]; v[b] = rotate(v[b] ^ v[c], 7);
}

// RFC 8439, with a block counter of 64 bits.
void chacha_bytes(std::uint8_t* bytes, const std::uint8_t* key, std::uint64_t counter) {
  std::uint32_t out[16], first[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::memcpy(first + 4, key, 32);
  first[12] = static_cast<std::uint32_t>(counter);
  first[13] = static_cast<std::uint32_t>(counter >> 32);
  std::memcpy(out, first, sizeof first);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) quarter(out, i, 4 + i, 8 + i, 12 + i);
    for (int i = 0; i < 4; ++i) quarter(out, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (int i = 0; i < 16; ++i) out[i] += first[i];
  std::memcpy(bytes, out, sizeof out);
}

std::uint8_t doubled(std::uint8_t x) { return static_cast<std::uint8_t>(x << 1 ^ (x >> 7) * 0x1b); }

// FIPS 197, section 5.1.1: the inverse in GF(2^8), x^254, and the affine map.
std::uint8_t substituted(std::uint8_t x) {
  std::uint8_t inverse = 1;
  for (int bit = 7; bit >= 0; --bit) {
    for (int twice = 0; twice < 2; ++twice) {
      if (twice == 1 && (254 >> bit & 1) == 0) break;
      std::uint8_t product = 0, shifted = inverse;
      for (std::uint8_t rest = twice == 0 ? inverse : x; rest != 0; rest >>= 1) {
        if (rest & 1) product ^= shifted;
        shifted = doubled(shifted);
      }
      inverse = product;
    }
  }
  std::uint8_t result = 0x63;
  for (int turn = 0; turn < 5; ++turn) result ^= static_cast<std::uint8_t>(inverse << turn | inverse >> (8 - turn));
  return result;
}

struct Box {
  std::uint8_t of[256];
  Box() {
    for (int x = 0; x < 256; ++x) of[x] = substituted(static_cast<std::uint8_t>(x));
  }
};
const Box box;

// FIPS 197, sections 5.1 and 5.2, with a key of 256 bits.
void aes_block(std::uint8_t* state, const std::uint8_t* key) {
  std::uint8_t words[60][4];
  std::memcpy(words, key, 32);
  std::uint8_t constant = 1;
  for (int i = 8; i < 60; ++i) {
    std::uint8_t word[4];
    for (int k = 0; k < 4; ++k) word[k] = i % 8 == 0 ? box.of[words[i - 1][(k + 1) % 4]] : words[i - 1][k];
    if (i % 8 == 4) for (std::uint8_t& byte : word) byte = box.of[byte];
    if (i % 8 == 0) {
      word[0] ^= constant;
      constant = doubled(constant);
    }
    for (int k = 0; k < 4; ++k) words[i][k] = words[i - 8][k] ^ word[k];
  }
  for (int i = 0; i < 16; ++i) state[i] ^= words[i / 4][i % 4];
  for (int round = 1; round <= 14; ++round) {
    std::uint8_t next[16];
    for (int i = 0; i < 16; ++i) next[i] = box.of[state[(i + 4 * (i % 4)) % 16]];
    for (int column = 0; column < 4; ++column) {
      const std::uint8_t* const in = next + 4 * column;
      for (int k = 0; k < 4; ++k) {
        const std::uint8_t mixed = doubled(in[k]) ^ doubled(in[(k + 1) % 4]) ^ in[(k + 1) % 4] ^ in[(k + 2) % 4] ^ in[(k + 3) % 4];
        state[4 * column + k] = (round < 14 ? mixed : in[k]) ^ words[4 * round + column][k];
      }
    }
  }
}

// SP 800-38A, section 6.5, from a counter of zero on.
void aes_bytes(std::uint8_t* bytes, const std::uint8_t* key, std::uint64_t counter) {
  for (int block = 0; block < 4; ++block) {
    std::uint8_t* const state = bytes + 16 * block;
    const std::uint64_t number = 4 * counter + block;
    for (int i = 0; i < 16; ++i) state[i] = i < 8 ? 0 : static_cast<std::uint8_t>(number >> (8 * (15 - i)));
    aes_block(state, key);
  }
}

template <class Element, class Apply, class Bytes>
void compare(const Apply& apply, const Bytes& stream_bytes) {
  const std::size_t words = 1 + choice() % 1500, plus = choice() % 4, minus = choice() % 4;
  // Near the place where the counter's lower half overflows, too.
  const std::uint64_t counter = choice() % 2 ? choice() % 1000 : 0xffffffffu - choice() % 40;
  std::vector<std::uint8_t> keys((plus + minus) * stream::kKeyBytes);
  for (auto& byte : keys) byte = static_cast<std::uint8_t>(choice());
  std::vector<Element> target(words);
  for (auto& item : target) item = static_cast<Element>(choice());
  std::vector<Element> expected = target;
  constexpr std::size_t kPerBlock = 64 / sizeof(Element);
  std::uint8_t bytes[64];
  for (std::size_t key = 0; key < plus + minus; ++key) {
    for (std::size_t at = 0; at < words; ++at) {
      if (at % kPerBlock == 0) stream_bytes(bytes, &keys[key * stream::kKeyBytes], counter + at / kPerBlock);
      Element item;
      std::memcpy(&item, bytes + at % kPerBlock * sizeof(Element), sizeof item);
      expected[at] = key < plus ? expected[at] + item : expected[at] - item;
    }
  }
  apply(target.data(), words, counter, keys.data(), plus, minus);
  if (target != expected) {
    std::fprintf(stderr, "%zu-bit elements: %zu words from block %llu differ\n", 8 * sizeof(Element), words,
                 static_cast<unsigned long long>(counter));
    std::exit(1);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    if (stream::has_chacha()) std::printf("chacha20\n");
    if (stream::has_aes()) std::printf("aes256ctr\n");
    return 0;
  }
  choice.seed(std::strtoull(arguments[3], nullptr, 10));
  const long rounds = std::strtol(arguments[2], nullptr, 10);
  const bool is_aes = std::strcmp(arguments[1], "aes256ctr") == 0;
  for (long i = 0; i < rounds; ++i) {
    if (is_aes) {
      compare<std::uint32_t>(stream::aes32, aes_bytes);
      compare<std::uint64_t>(stream::aes64, aes_bytes);
    } else {
      compare<std::uint32_t>(stream::chacha32, chacha_bytes);
      compare<std::uint64_t>(stream::chacha64, chacha_bytes);
    }
  }
  std::printf("%s: %ld rounds of keystreams\n", arguments[1], rounds);
  return 0;
}
