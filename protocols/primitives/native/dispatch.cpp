#include "dispatch.h"

#include <algorithm>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace native {

namespace {

struct Path {
  const char* name;
  bool available;
  Kernel (*kernel)(int tile);
};

#if defined(__x86_64__)
// Bits of CPUID leaf 7, EBX. The AVX-512 questions go to the compiler's run time, which also asks whether the operating
// system saves the registers.
bool has_leaf7(unsigned bit) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> bit & 1) != 0;
}
bool has_bmi2() { return has_leaf7(8); }
bool has_adx() { return has_leaf7(19); }
bool has_avx512f() { return __builtin_cpu_supports("avx512f") != 0; }
bool has_ifma() { return __builtin_cpu_supports("avx512ifma") != 0; }
#endif

std::vector<Path> paths() {
  return {
#if defined(__x86_64__)
      {"ifma", has_avx512f() && has_ifma(), ifma_kernel},
      {"avx512", has_avx512f(), avx512_kernel},
      {"adx", has_bmi2() && has_adx(), adx_kernel},
#endif
      {"portable", true, portable_kernel},
  };
}

// R >= 64 n: sums of two products of reduced numbers, and the excess of a Barrett quotient, then stay reduced.
constexpr int kHeadroomBits = 6;

constexpr int kAnyTile = 1 << 10;

}  // namespace

std::vector<std::string> available_paths() {
  std::vector<std::string> names;
  for (const Path& path : paths()) {
    if (path.available) names.push_back(path.name);
  }
  return names;
}

std::vector<std::string> processor_features() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  if (has_bmi2()) names.push_back("bmi2");
  if (has_adx()) names.push_back("adx");
  if (has_avx512f()) names.push_back("avx512f");
  if (has_ifma()) names.push_back("avx512ifma");
#endif
  return names;
}

Fit fit_kernel(const std::string& name, int bits) {
  for (const Path& path : paths()) {
    if (name != path.name || !path.available) continue;
    const Kernel largest = path.kernel(kAnyTile);
    const int needed = (bits + kHeadroomBits + largest.digit_bits - 1) / largest.digit_bits;
    if (largest.lanes == 1) return {largest, needed};
    // The largest tile among those that pad least: it loads least for each product.
    int best_tile = 0;
    int best_digits = 0;
    for (int tile = largest.tile; tile >= kMinTile; --tile) {
      const int digits = static_cast<int>(round_up(needed, tile));
      if (best_tile == 0 || digits < best_digits) {
        best_tile = tile;
        best_digits = digits;
      }
    }
    return {path.kernel(best_tile), best_digits};
  }
  throw std::invalid_argument("the path " + name + " is not available on this processor");
}

}  // namespace native
