// ChaCha20 (RFC 8439) by AVX-512F: 2 × 16 blocks at a time, one block per lane; rotations are one instruction.
//
// Sums are taken before blocks are laid out as bytes: all keys' blocks add up lane by lane, and only the sum is transposed.
#include "stream.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>

namespace stream {

namespace {

#define STREAM_INLINE __attribute__((always_inline, target("avx512f"))) static inline

typedef std::uint32_t V __attribute__((vector_size(64)));
typedef std::uint64_t W __attribute__((vector_size(64)));
constexpr int kLanes = 16;
constexpr int kWays = 2;  // states, interleaved: one alone waits for its own results
constexpr std::size_t kBlocks = kWays * kLanes;
constexpr std::size_t kBlockWords = 16;

typedef V State[kWays][16];

// x += y; z = (z ^ x) rotated, for four quarter rounds of each state at once: one alone would wait for its own results.
template <int kBits>
STREAM_INLINE void step(State& v, const int (&x)[4], const int (&y)[4], const int (&z)[4]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
    for (int w = 0; w < kWays; ++w) v[w][x[i]] += v[w][y[i]];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
    for (int w = 0; w < kWays; ++w) v[w][z[i]] ^= v[w][x[i]];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
    for (int w = 0; w < kWays; ++w) v[w][z[i]] = (V)_mm512_rol_epi32((__m512i)v[w][z[i]], kBits);
  }
}

STREAM_INLINE void quarter_rounds(State& v, const int (&a)[4], const int (&b)[4], const int (&c)[4], const int (&d)[4]) {
  step<16>(v, a, b, d);
  step<12>(v, c, d, b);
  step<8>(v, a, b, d);
  step<7>(v, c, d, b);
}

// low, high: the lanes' block counters.
STREAM_INLINE void blocks(State& v, const std::uint8_t* key, const V (&low)[kWays], const V (&high)[kWays]) {
  constexpr int kA[4] = {0, 1, 2, 3}, kB[4] = {4, 5, 6, 7}, kC[4] = {8, 9, 10, 11}, kD[4] = {12, 13, 14, 15};
  constexpr int kDiagonalB[4] = {5, 6, 7, 4}, kDiagonalC[4] = {10, 11, 8, 9}, kDiagonalD[4] = {15, 12, 13, 14};
  std::uint32_t first[12] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
  std::memcpy(first + 4, key, kKeyBytes);
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) v[w][i] = V{} + first[i];
    v[w][12] = low[w];
    v[w][13] = high[w];
    v[w][14] = v[w][15] = V{};
  }
  for (int round = 0; round < 10; ++round) {
    quarter_rounds(v, kA, kB, kC, kD);
    quarter_rounds(v, kA, kDiagonalB, kDiagonalC, kDiagonalD);
  }
#pragma GCC unroll 2
  for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) v[w][i] += first[i];
    v[w][12] += low[w];
    v[w][13] += high[w];
  }
}

STREAM_INLINE void set_counters(std::uint64_t counter, V (&low)[kWays], V (&high)[kWays]) {
  for (int w = 0; w < kWays; ++w) {
    for (int lane = 0; lane < kLanes; ++lane, ++counter) {
      low[w][lane] = static_cast<std::uint32_t>(counter);
      high[w][lane] = static_cast<std::uint32_t>(counter >> 32);
    }
  }
}

// What sums of keystreams leave behind is as secret as the masks.
void wipe(void* data, std::size_t size) {
  volatile unsigned char* bytes = static_cast<volatile unsigned char*>(data);
  while (size-- > 0) *bytes++ = 0;
}

}  // namespace

__attribute__((target("avx512f"))) void chacha32(std::uint32_t* target, std::size_t words, std::uint64_t counter,
                                                const std::uint8_t* keys, std::size_t plus, std::size_t minus) {
  State sum, v;
  V low[kWays] = {}, high[kWays] = {};
  std::uint32_t lanes[kWays][16][kLanes];
  const std::uint8_t* const border = keys + kKeyBytes * plus;
  const std::uint8_t* const end = border + kKeyBytes * minus;
  for (std::size_t done = 0; done < words; done += kBlockWords * kBlocks) {
    set_counters(counter + done / kBlockWords, low, high);
    std::memset(sum, 0, sizeof sum);
    for (const std::uint8_t* key = keys; key != border; key += kKeyBytes) {
      blocks(v, key, low, high);
      for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) sum[w][i] += v[w][i];
      }
    }
    for (const std::uint8_t* key = border; key != end; key += kKeyBytes) {
      blocks(v, key, low, high);
      for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) sum[w][i] -= v[w][i];
      }
    }
    std::memcpy(lanes, sum, sizeof lanes);
    std::uint32_t* const out = target + done;
    const std::size_t here = words - done < kBlockWords * kBlocks ? words - done : kBlockWords * kBlocks;
    for (std::size_t at = 0; at < here; ++at) {
      const std::size_t block = at / kBlockWords;
      out[at] += lanes[block / kLanes][at % kBlockWords][block % kLanes];
    }
  }
  wipe(sum, sizeof sum);
  wipe(v, sizeof v);
  wipe(lanes, sizeof lanes);
}

// Elements of 64 bits: words 2i and 2i + 1 of a block, which lie in two vectors; even and odd lanes are summed apart.
__attribute__((target("avx512f"))) void chacha64(std::uint64_t* target, std::size_t words, std::uint64_t counter,
                                                const std::uint8_t* keys, std::size_t plus, std::size_t minus) {
  constexpr std::size_t kElements = kBlockWords / 2;
  W sum[kWays][2][kElements];
  State v;
  V low[kWays] = {}, high[kWays] = {};
  std::uint64_t lanes[kWays][2][kElements][kLanes / 2];
  for (std::size_t done = 0; done < words; done += kElements * kBlocks) {
    set_counters(counter + done / kElements, low, high);
    std::memset(sum, 0, sizeof sum);
    for (std::size_t index = 0; index < plus + minus; ++index) {
      blocks(v, keys + kKeyBytes * index, low, high);
      const W sign = W{} + (index < plus ? 0 : ~std::uint64_t{0});  // (x ^ sign) − sign is x, or −x
      for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          const W a = (W)v[w][2 * i], b = (W)v[w][2 * i + 1];
          sum[w][0][i] += (((a & 0xffffffffu) | (b << 32)) ^ sign) - sign;
          sum[w][1][i] += (((a >> 32) | (b & ~std::uint64_t{0xffffffffu})) ^ sign) - sign;
        }
      }
    }
    std::memcpy(lanes, sum, sizeof lanes);
    std::uint64_t* const out = target + done;
    const std::size_t here = words - done < kElements * kBlocks ? words - done : kElements * kBlocks;
    for (std::size_t at = 0; at < here; ++at) {
      const std::size_t block = at / kElements, lane = block % kLanes;
      out[at] += lanes[block / kLanes][lane % 2][at % kElements][lane / 2];
    }
  }
  wipe(sum, sizeof sum);
  wipe(v, sizeof v);
  wipe(lanes, sizeof lanes);
}

bool has_chacha() {
  // The compiler's run time also asks whether the operating system saves the registers.
  return __builtin_cpu_supports("avx512f") != 0;
}

}  // namespace stream

#else

namespace stream {

void chacha32(std::uint32_t*, std::size_t, std::uint64_t, const std::uint8_t*, std::size_t, std::size_t) {}
void chacha64(std::uint64_t*, std::size_t, std::uint64_t, const std::uint8_t*, std::size_t, std::size_t) {}
bool has_chacha() { return false; }

}  // namespace stream
#endif
