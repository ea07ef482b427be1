#include "scalar.h"

#include <cstring>

#include "constants.h"

namespace group {

void half_digits(std::int8_t* digits, std::size_t stride, const Byte* scalar) {
  Word words[4];
  std::memcpy(words, scalar, sizeof words);
  words[3] &= ~Word{0} >> 1;
  // An odd scalar becomes even by the addition of the order, which is odd. Below 2^255 + 2^253: no carry leaves the words.
  const Word odd = Word{0} - (words[0] & 1);
  Word carry = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned __int128 sum = static_cast<unsigned __int128>(words[i]) + (kOrder.words[i] & odd) + carry;
    words[i] = static_cast<Word>(sum);
    carry = static_cast<Word>(sum >> 64);
  }
  for (int i = 0; i < 4; ++i) words[i] = words[i] >> 1 | (i < 3 ? words[i + 1] << 63 : 0);
  int over = 0;
  for (int i = 0; i < kDigits; ++i) {
    const int digit = static_cast<int>(words[i / 16] >> (4 * (i % 16)) & 15) + over;
    // The half is below 2^254 + 2^252: the last digit is at most 6 and keeps what it gets.
    over = i < kDigits - 1 ? (digit + 8) >> 4 : 0;
    digits[i * stride] = static_cast<std::int8_t>(digit - (over << 4));
  }
  std::memset(words, 0, sizeof words);
  __asm__ __volatile__("" : : "r"(words) : "memory");
}

}  // namespace group
