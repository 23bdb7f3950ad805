// The bytes of a count (drawn in count_store.h).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "model/commit_record.h"

namespace clicktally {

static_assert(std::endian::native == std::endian::little);

struct CountValue {
  std::int64_t clicks = 0;
  BatchId last_batch = 0;

  static constexpr std::size_t kSize = 16;

  static std::optional<CountValue> parse(std::string_view bytes) {
    if (bytes.size() != kSize) return std::nullopt;
    CountValue value;
    std::memcpy(&value.clicks, bytes.data(), 8);
    std::memcpy(&value.last_batch, bytes.data() + 8, 8);
    return value;
  }
  void write_to(char* out) const {
    std::memcpy(out, &clicks, 8);
    std::memcpy(out + 8, &last_batch, 8);
  }
  void merge(const CountValue& other) {
    clicks += other.clicks;
    if (other.last_batch > last_batch) last_batch = other.last_batch;
  }
};

}  // namespace clicktally
