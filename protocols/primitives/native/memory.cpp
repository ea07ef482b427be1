#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace native {

namespace {
constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{1} << 21;
}  // namespace

Buffer::Buffer(std::size_t words, Content content) : words_(words), content_(content) {
  if (words == 0) return;
  const std::size_t bytes = words * sizeof(Word);
  // Tables are read at random: on huge pages, their addresses stay in the translation buffer.
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kLine;
  const std::size_t padded = round_up(bytes, alignment);
  data_ = static_cast<Word*>(std::aligned_alloc(alignment, padded));
  if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes >= kHugePage) (void)madvise(data_, padded, MADV_HUGEPAGE);
#endif
  std::memset(data_, 0, bytes);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (content_ == Content::secret) {
    std::memset(data_, 0, words_ * sizeof(Word));
    // The compiler may not drop the wiping of memory that is about to be freed.
    __asm__ __volatile__("" : : "r"(data_) : "memory");
  }
  std::free(data_);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(words_, other.words_);
  std::swap(content_, other.content_);
  return *this;
}

}  // namespace native
