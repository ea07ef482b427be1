#include "scalar.h"

#include <cstring>

#include "constants.h"

namespace group {

namespace {

// words: below 2^255, so that the most significant digit is at most 7 and keeps what it gets.
void signed_digits(std::int8_t* digits, std::size_t stride, const Word* words) {
  int over = 0;
  for (int i = 0; i < kDigits; ++i) {
    const int digit = static_cast<int>(words[i / 16] >> (4 * (i % 16)) & 15) + over;
    over = i < kDigits - 1 ? (digit + 8) >> 4 : 0;
    digits[i * stride] = static_cast<std::int8_t>(digit - (over << 4));
  }
}

}  // namespace

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
  signed_digits(digits, stride, words);  // the half is below 2^254 + 2^252
  std::memset(words, 0, sizeof words);
  __asm__ __volatile__("" : : "r"(words) : "memory");
}

void whole_digits(std::int8_t* digits, std::size_t stride, const Byte* scalar) {
  Word words[4];
  std::memcpy(words, scalar, sizeof words);
  signed_digits(digits, stride, words);
}

bool is_below_order(const Byte* scalar) {
  Word words[4];
  std::memcpy(words, scalar, sizeof words);
  for (int i = 3; i >= 0; --i) {
    if (words[i] != kOrder.words[i]) return words[i] < kOrder.words[i];
  }
  return false;
}

void reduce(Byte* scalar, const Byte* wide) {
  // 32 bits at a time, from the top: v = 2^32·r + bits < 2^285. With order = 2^252 + c and q = v >> 252, the quotient is q or
  // q − 1, so that v − q·order = (v mod 2^252) − q·c is the remainder or that less the order.
  Word r[4] = {};
  for (int i = 15; i >= 0; --i) {
    std::uint32_t bits;
    std::memcpy(&bits, wide + 4 * i, sizeof bits);
    const Word q = r[3] >> 28;
    for (int k = 3; k > 0; --k) r[k] = r[k] << 32 | r[k - 1] >> 32;
    r[0] = r[0] << 32 | bits;
    r[3] &= (Word{1} << 60) - 1;
    Word carry = 0, borrow = 0;
    for (int k = 0; k < 4; ++k) {
      const unsigned __int128 part = static_cast<unsigned __int128>(q) * (k < 2 ? kOrder.words[k] : 0) + carry;
      carry = static_cast<Word>(part >> 64);
      const unsigned __int128 difference = static_cast<unsigned __int128>(r[k]) - static_cast<Word>(part) - borrow;
      r[k] = static_cast<Word>(difference);
      borrow = static_cast<Word>(difference >> 64) & 1;
    }
    if (borrow == 0) continue;
    carry = 0;
    for (int k = 0; k < 4; ++k) {
      const unsigned __int128 sum = static_cast<unsigned __int128>(r[k]) + kOrder.words[k] + carry;
      r[k] = static_cast<Word>(sum);
      carry = static_cast<Word>(sum >> 64);
    }
  }
  std::memcpy(scalar, r, sizeof r);
}

}  // namespace group
