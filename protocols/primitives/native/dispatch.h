// Which instruction sets there are, which of them this processor has, and the kernel for one of them.
#pragma once

#include <string>
#include <vector>

#include "kernel.h"

namespace native {

Kernel portable_kernel(int tile);
#if defined(__x86_64__)
Kernel adx_kernel(int tile);
Kernel avx512_kernel(int tile);
Kernel ifma_kernel(int tile);
#endif

// Names of the paths that this processor can run, the fastest first.
std::vector<std::string> available_paths();

// Names of the processor features that the choice looks at and finds.
std::vector<std::string> processor_features();

// The kernel of an available path, with the tile that suits numbers of that many bits best, and the digits to use with it.
// Throws std::invalid_argument if the path is not available.
struct Fit {
  Kernel kernel;
  int digits;
};
Fit fit_kernel(const std::string& path, int bits);

}  // namespace native
