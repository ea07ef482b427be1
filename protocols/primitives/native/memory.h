// Words, and buffers of them that are aligned for vector loads and wiped when they go.
#pragma once

#include <cstddef>
#include <cstdint>

namespace native {

using Word = std::uint64_t;

// A fixed array of words on a 64-byte boundary, zeroed at first.
class Buffer {
 public:
  // Workspaces hold powers of secrets, and are wiped at the end. Tables of public numbers are large, and are not.
  enum class Content { secret, open };

  Buffer() = default;
  explicit Buffer(std::size_t words, Content content = Content::secret);
  ~Buffer();
  Buffer(Buffer&& other) noexcept : data_(other.data_), words_(other.words_), content_(other.content_) {
    other.data_ = nullptr;
    other.words_ = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Word* data() { return data_; }
  const Word* data() const { return data_; }
  std::size_t words() const { return words_; }

 private:
  Word* data_ = nullptr;
  std::size_t words_ = 0;
  Content content_ = Content::secret;
};

// Asks for a row that will be read soon.
inline void prefetch(const Word* row, std::size_t words) {
  for (std::size_t i = 0; i < words; i += 8) __builtin_prefetch(row + i);
}

constexpr std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

}  // namespace native
