// The path for x86-64 with BMI2 and ADX: rows by mulx with two carry chains, about one product a cycle.
#include "dispatch.h"
#include "scalar.h"

namespace native {

#if defined(__x86_64__)

namespace {

struct AdxRow {
  static Word add_multiple(Word* r, const Word* a, int n, Word b) {
    Word carry = 0;
    // The unrolled loop takes eight digits; what is left over goes first, so that both chains end with the loop.
    for (; n % 8 != 0; --n, ++r, ++a) {
      const scalar::Wide sum = static_cast<scalar::Wide>(*a) * b + *r + carry;
      *r = static_cast<Word>(sum);
      carry = static_cast<Word>(sum >> 64);
    }
    if (n == 0) return carry;
    Word count = static_cast<Word>(n) / 8;
    Word low, high;
    // CF carries the chain of products (adcx), OF the chain of sums with r (adox); lea and jrcxz leave both alone.
    __asm__ volatile(
        "xorl %k[low], %k[low]\n"
        "1:\n"
#define ADX_STEP(OFFSET, IN, OUT)                     \
  "mulx " OFFSET "(%[a]), %[low], " OUT "\n"           \
  "adcx " IN ", %[low]\n"                              \
  "adox " OFFSET "(%[r]), %[low]\n"                    \
  "movq %[low], " OFFSET "(%[r])\n"
        ADX_STEP("0", "%[carry]", "%[high]")
        ADX_STEP("8", "%[high]", "%[carry]")
        ADX_STEP("16", "%[carry]", "%[high]")
        ADX_STEP("24", "%[high]", "%[carry]")
        ADX_STEP("32", "%[carry]", "%[high]")
        ADX_STEP("40", "%[high]", "%[carry]")
        ADX_STEP("48", "%[carry]", "%[high]")
        ADX_STEP("56", "%[high]", "%[carry]")
#undef ADX_STEP
        "leaq 64(%[a]), %[a]\n"
        "leaq 64(%[r]), %[r]\n"
        "leaq -1(%%rcx), %%rcx\n"
        "jrcxz 2f\n"
        "jmp 1b\n"
        "2:\n"
        "movl $0, %k[low]\n"
        "adcx %[low], %[carry]\n"
        "adox %[low], %[carry]\n"
        : [a] "+r"(a), [r] "+r"(r), "+c"(count), [carry] "+r"(carry), [low] "=&r"(low), [high] "=&r"(high)
        : "d"(b)
        : "cc", "memory");
    return carry;
  }
};

}  // namespace

Kernel adx_kernel(int) { return scalar::Operations<AdxRow>::kernel("adx"); }

#endif

}  // namespace native
