// The path for every processor: rows in C++ with 128-bit products.
#include "dispatch.h"
#include "scalar.h"

namespace native {

namespace {

struct PortableRow {
  static Word add_multiple(Word* r, const Word* a, int n, Word b) {
    Word carry = 0;
    for (int i = 0; i < n; ++i) {
      const scalar::Wide sum = static_cast<scalar::Wide>(a[i]) * b + r[i] + carry;
      r[i] = static_cast<Word>(sum);
      carry = static_cast<Word>(sum >> 64);
    }
    return carry;
  }
};

}  // namespace

Kernel portable_kernel(int) { return scalar::Operations<PortableRow>::kernel("portable"); }

}  // namespace native
