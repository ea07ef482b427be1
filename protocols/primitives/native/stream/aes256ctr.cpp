// AES-256 in counter mode (FIPS 197, SP 800-38A) by VAES on AVX-512F: 12 × 4 blocks at a time, in the order of their bytes, so
// that sums of keystreams need no transposition.
#include "stream.h"

#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>

namespace stream {

namespace {

#define STREAM_INLINE __attribute__((always_inline, target("avx512f,vaes,aes"))) static inline

constexpr int kRounds = 14;
constexpr int kWays = 12;  // vectors of four blocks: a round waits for the one before, and two run in a cycle; eight would just fill that
constexpr std::size_t kTileBytes = 64 * kWays;

struct Schedule {
  __m128i round[kRounds + 1];
};

// FIPS 197, section 5.2: four words of the schedule. kWord: 0xff where the word is rotated and gets a constant, 0xaa where it is only substituted.
template <int kConstant, int kWord>
STREAM_INLINE __m128i next_round_key(__m128i two_before, __m128i before) {
  __m128i key = two_before;
  for (int i = 0; i < 3; ++i) {
    two_before = _mm_slli_si128(two_before, 4);
    key = _mm_xor_si128(key, two_before);
  }
  return _mm_xor_si128(key, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(before, kConstant), kWord));
}

__attribute__((target("avx512f,vaes,aes"))) void expand(Schedule* schedule, const std::uint8_t* key) {
  __m128i* const r = schedule->round;
  r[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
  r[1] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key + 16));
  r[2] = next_round_key<1, 0xff>(r[0], r[1]);
  r[3] = next_round_key<0, 0xaa>(r[1], r[2]);
  r[4] = next_round_key<2, 0xff>(r[2], r[3]);
  r[5] = next_round_key<0, 0xaa>(r[3], r[4]);
  r[6] = next_round_key<4, 0xff>(r[4], r[5]);
  r[7] = next_round_key<0, 0xaa>(r[5], r[6]);
  r[8] = next_round_key<8, 0xff>(r[6], r[7]);
  r[9] = next_round_key<0, 0xaa>(r[7], r[8]);
  r[10] = next_round_key<16, 0xff>(r[8], r[9]);
  r[11] = next_round_key<0, 0xaa>(r[9], r[10]);
  r[12] = next_round_key<32, 0xff>(r[10], r[11]);
  r[13] = next_round_key<0, 0xaa>(r[11], r[12]);
  r[14] = next_round_key<64, 0xff>(r[12], r[13]);
}

template <class Element>
STREAM_INLINE __m512i add(__m512i a, __m512i b) {
  return sizeof(Element) == 4 ? _mm512_add_epi32(a, b) : _mm512_add_epi64(a, b);
}
template <class Element>
STREAM_INLINE __m512i subtract(__m512i a, __m512i b) {
  return sizeof(Element) == 4 ? _mm512_sub_epi32(a, b) : _mm512_sub_epi64(a, b);
}

// sum ± one key's blocks of the given counters.
template <class Element, bool kMinus>
STREAM_INLINE void accumulate(__m512i (&sum)[kWays], const Schedule& schedule, const __m512i (&counters)[kWays]) {
  __m512i block[kWays];
  const __m512i first = _mm512_broadcast_i32x4(schedule.round[0]);
#pragma GCC unroll 16
  for (int w = 0; w < kWays; ++w) block[w] = _mm512_xor_si512(counters[w], first);
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) {
    const __m512i key = _mm512_broadcast_i32x4(schedule.round[r]);
#pragma GCC unroll 16
    for (int w = 0; w < kWays; ++w) block[w] = _mm512_aesenc_epi128(block[w], key);
  }
  const __m512i last = _mm512_broadcast_i32x4(schedule.round[kRounds]);
#pragma GCC unroll 16
  for (int w = 0; w < kWays; ++w) {
    block[w] = _mm512_aesenclast_epi128(block[w], last);
    sum[w] = kMinus ? subtract<Element>(sum[w], block[w]) : add<Element>(sum[w], block[w]);
  }
}

// Blocks are numbered in the last eight bytes of the counter, the most significant first.
void set_counters(std::uint64_t block, std::uint64_t (&words)[kTileBytes / 8]) {
  for (std::size_t i = 0; i < kTileBytes / 16; ++i) {
    words[2 * i] = 0;
    words[2 * i + 1] = __builtin_bswap64(block + i);
  }
}

// As in chacha20.cpp: what keys and sums leave behind is as secret as the masks.
void wipe(void* data, std::size_t size) {
  volatile unsigned char* bytes = static_cast<volatile unsigned char*>(data);
  while (size-- > 0) *bytes++ = 0;
}

template <class Element>
__attribute__((target("avx512f,vaes,aes"))) void apply(Element* target, std::size_t words, std::uint64_t first_block,
                                                       const std::uint8_t* keys, std::size_t plus, std::size_t minus) {
  constexpr std::size_t kTile = kTileBytes / sizeof(Element);
  std::vector<Schedule> schedules(plus + minus);
  for (std::size_t i = 0; i < plus + minus; ++i) expand(&schedules[i], keys + kKeyBytes * i);
  alignas(64) std::uint64_t numbers[kTileBytes / 8];
  alignas(64) Element ends[kTile];
  __m512i counters[kWays];
  for (std::size_t done = 0; done < words; done += kTile) {
    set_counters(first_block + done * sizeof(Element) / 16, numbers);
    std::memcpy(counters, numbers, sizeof counters);
    __m512i sum[kWays] = {};
    for (std::size_t i = 0; i < plus; ++i) accumulate<Element, false>(sum, schedules[i], counters);
    for (std::size_t i = plus; i < plus + minus; ++i) accumulate<Element, true>(sum, schedules[i], counters);
    Element* const out = target + done;
    if (words - done >= kTile) {
#pragma GCC unroll 16
      for (int w = 0; w < kWays; ++w) {
        __m512i* const at = reinterpret_cast<__m512i*>(out) + w;
        _mm512_storeu_si512(at, add<Element>(_mm512_loadu_si512(at), sum[w]));
      }
    } else {
      std::memcpy(ends, sum, sizeof ends);
      for (std::size_t i = 0; i < words - done; ++i) out[i] += ends[i];
    }
  }
  wipe(schedules.data(), schedules.size() * sizeof(Schedule));
  wipe(ends, sizeof ends);
}

}  // namespace

void aes32(std::uint32_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
           std::size_t minus) {
  apply(target, words, 4 * counter, keys, plus, minus);
}

void aes64(std::uint64_t* target, std::size_t words, std::uint64_t counter, const std::uint8_t* keys, std::size_t plus,
           std::size_t minus) {
  apply(target, words, 4 * counter, keys, plus, minus);
}

bool has_aes() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vaes") && __builtin_cpu_supports("aes"); }

}  // namespace stream

#else

namespace stream {

void aes32(std::uint32_t*, std::size_t, std::uint64_t, const std::uint8_t*, std::size_t, std::size_t) {}
void aes64(std::uint64_t*, std::size_t, std::uint64_t, const std::uint8_t*, std::size_t, std::size_t) {}
bool has_aes() { return false; }

}  // namespace stream
#endif
