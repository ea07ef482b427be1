// Runs the keystream kernel on random sizes, counters and keys against plain ChaCha20; built with sanitizers by sanitize.py.
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
void block(std::uint32_t* out, const std::uint8_t* key, std::uint64_t counter) {
  std::uint32_t first[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::memcpy(first + 4, key, 32);
  first[12] = static_cast<std::uint32_t>(counter);
  first[13] = static_cast<std::uint32_t>(counter >> 32);
  std::memcpy(out, first, sizeof first);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) quarter(out, i, 4 + i, 8 + i, 12 + i);
    for (int i = 0; i < 4; ++i) quarter(out, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (int i = 0; i < 16; ++i) out[i] += first[i];
}

template <class Element, class Apply>
void compare(const Apply& apply) {
  const std::size_t words = 1 + choice() % 1500, plus = choice() % 4, minus = choice() % 4;
  // Near the place where the counter's lower half overflows, too.
  const std::uint64_t counter = choice() % 2 ? choice() % 1000 : 0xffffffffu - choice() % 40;
  std::vector<std::uint8_t> keys((plus + minus) * stream::kKeyBytes);
  for (auto& byte : keys) byte = static_cast<std::uint8_t>(choice());
  std::vector<Element> target(words);
  for (auto& item : target) item = static_cast<Element>(choice());
  std::vector<Element> expected = target;
  constexpr std::size_t kPerBlock = 64 / sizeof(Element);
  for (std::size_t key = 0; key < plus + minus; ++key) {
    for (std::size_t at = 0; at < words; ++at) {
      std::uint32_t bytes[16];
      block(bytes, &keys[key * stream::kKeyBytes], counter + at / kPerBlock);
      Element item;
      std::memcpy(&item, reinterpret_cast<const char*>(bytes) + at % kPerBlock * sizeof(Element), sizeof item);
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
    if (stream::is_available()) std::printf("avx512\n");
    return 0;
  }
  choice.seed(std::strtoull(arguments[3], nullptr, 10));
  const long rounds = std::strtol(arguments[2], nullptr, 10);
  for (long i = 0; i < rounds; ++i) {
    compare<std::uint32_t>(stream::apply32);
    compare<std::uint64_t>(stream::apply64);
  }
  std::printf("%s: %ld rounds of keystreams\n", arguments[1], rounds);
  return 0;
}
