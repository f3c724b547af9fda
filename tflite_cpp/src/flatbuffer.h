// Reads a flatbuffer within its bounds, whatever it holds: a few lines instead of a dependency.
//
// A flatbuffer is little-endian. A table begins with the distance back to its vtable, which holds
// two sizes and then, for each field (slot), where that lies in the table, 0 for its default.
// Vectors, texts and other tables are reached by the distance from where that distance is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace jaxgan::flatbuffer {

// Thrown where something does not lie within the buffer, is missing, or is larger than it may be.
struct Damaged {};

// The bytes of a whole buffer.
class Buffer {
 public:
  Buffer(const char* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const char* bytes(std::size_t place, std::size_t size) const {
    if (place > size_ || size > size_ - place) throw Damaged();
    return data_ + place;
  }
  template <typename Number>
  Number number(std::size_t place) const {
    Number value;
    std::memcpy(&value, bytes(place, sizeof value), sizeof value);
    return value;
  }
  std::size_t follow(std::size_t place) const { return place + number<std::uint32_t>(place); }

 private:
  const char* data_;
  std::size_t size_;
};

// Numbers that stay where they are in the buffer.
template <typename Number>
class Vector {
 public:
  Vector() = default;
  Vector(const Buffer& buffer, std::size_t place)
      : size_(buffer.number<std::uint32_t>(place)),
        data_(buffer.bytes(place + 4, size_ * sizeof(Number))) {}

  std::size_t size() const noexcept { return size_; }
  Number operator[](std::size_t index) const {
    if (index >= size_) throw Damaged();
    Number value;
    std::memcpy(&value, data_ + index * sizeof value, sizeof value);
    return value;
  }
  const char* bytes() const noexcept { return data_; }
  // A copy, if it has at most so many.
  std::vector<Number> copy(std::size_t max) const {
    if (size_ > max) throw Damaged();
    std::vector<Number> values(size_);
    if (size_ != 0) std::memcpy(values.data(), data_, size_ * sizeof(Number));
    return values;
  }

 private:
  std::size_t size_ = 0;
  const char* data_ = nullptr;
};

class Table {
 public:
  Table(const Buffer& buffer, std::size_t place) : buffer_(&buffer), place_(place) {
    const auto vtable = static_cast<std::int64_t>(place) - buffer.number<std::int32_t>(place);
    if (vtable < 0) throw Damaged();
    vtable_ = static_cast<std::size_t>(vtable);
    const std::size_t size = buffer.number<std::uint16_t>(vtable_);
    if (size < 4) throw Damaged();
    slots_ = (size - 4) / 2;
    buffer.bytes(vtable_, size);
  }

  bool has(std::size_t slot) const { return field(slot) != 0; }

  // Refuses fields that whoever reads this table does not know, but another reader may.
  void has_none_from(std::size_t slot) const {
    for (; slot < slots_; ++slot) {
      if (has(slot)) throw Damaged();
    }
  }

  template <typename Number>
  Number number(std::size_t slot, Number otherwise) const {
    const std::size_t at = field(slot);
    return at == 0 ? otherwise : buffer_->number<Number>(at);
  }
  template <typename Number>
  Vector<Number> vector(std::size_t slot) const {
    const std::size_t at = field(slot);
    return at == 0 ? Vector<Number>() : Vector<Number>(*buffer_, buffer_->follow(at));
  }
  std::string text(std::size_t slot, std::size_t max) const {
    const std::vector<char> letters = vector<char>(slot).copy(max);
    return {letters.begin(), letters.end()};
  }
  Table table(std::size_t slot) const {
    const std::size_t at = field(slot);
    if (at == 0) throw Damaged();
    return {*buffer_, buffer_->follow(at)};
  }
  std::vector<Table> tables(std::size_t slot, std::size_t max) const {
    const std::size_t at = field(slot);
    std::vector<Table> found;
    if (at == 0) return found;
    const std::size_t start = buffer_->follow(at), count = buffer_->number<std::uint32_t>(start);
    if (count > max) throw Damaged();
    for (std::size_t i = 0; i < count; ++i) {
      found.emplace_back(*buffer_, buffer_->follow(start + 4 + 4 * i));
    }
    return found;
  }

 private:
  // Where a field lies in the buffer, 0 where it has its default.
  std::size_t field(std::size_t slot) const {
    if (slot >= slots_) return 0;
    const std::size_t offset = buffer_->number<std::uint16_t>(vtable_ + 4 + 2 * slot);
    return offset == 0 ? 0 : place_ + offset;
  }

  const Buffer* buffer_;
  std::size_t place_, vtable_ = 0, slots_ = 0;
};

}  // namespace jaxgan::flatbuffer
