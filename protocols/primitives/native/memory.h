// Words, and buffers of them that are aligned for vector loads and wiped when they go.
#pragma once

#include <cstddef>
#include <cstdint>

namespace native {

using Word = std::uint64_t;

// A fixed array of words on a 64-byte boundary, zeroed at first. Workspaces hold powers of secrets, hence the wiping.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t words);
  ~Buffer();
  Buffer(Buffer&& other) noexcept : data_(other.data_), words_(other.words_) {
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
};

constexpr std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

}  // namespace native
