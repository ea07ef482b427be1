#include <stdexcept>

#include "group.h"

namespace group {

namespace {

struct Candidate {
  bool available;
  const Path& (*path)();
};

// The compiler's run time also asks whether the operating system saves the registers.
std::vector<Candidate> candidates() {
  return {
#if defined(__x86_64__)
      {__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma"), ifma_path},
      {__builtin_cpu_supports("avx512f") != 0, avx512_path},
      {__builtin_cpu_supports("avx2") != 0, avx2_path},
#endif
      {true, portable_path},
  };
}

}  // namespace

std::vector<std::string> available_paths() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.available) names.emplace_back(candidate.path().name);
  }
  return names;
}

const Path& find_path(const std::string& name) {
  for (const Candidate& candidate : candidates()) {
    if (candidate.available && name == candidate.path().name) return candidate.path();
  }
  throw std::invalid_argument("the path " + name + " is not available on this processor");
}

}  // namespace group
