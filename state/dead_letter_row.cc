#include "state/dead_letter_row.h"

#include <bit>
#include <cstring>

namespace clicktally {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kKeySize = 1 + 4 + 8;
constexpr std::size_t kHeaderSize = 8 + 8 + 1 + 2;
constexpr std::size_t kLongestDetail = 0xFFFF;

void put_big_endian(std::uint64_t value, unsigned bytes, std::string* out) {
  while (bytes-- > 0) out->push_back(static_cast<char>(value >> (8 * bytes)));
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = (value << 8) | static_cast<unsigned char>(byte);
  return value;
}

template <typename T>
void put(T value, std::string* out) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out->append(bytes, sizeof value);
}

template <typename T>
T take(std::string_view* bytes) {
  T value;
  std::memcpy(&value, bytes->data(), sizeof value);
  bytes->remove_prefix(sizeof value);
  return value;
}

}  // namespace

std::string dead_letter_key(PartitionId partition, Offset offset) {
  std::string key(1, kDeadLetterPrefix);
  put_big_endian(static_cast<std::uint32_t>(partition), 4, &key);
  put_big_endian(static_cast<std::uint64_t>(offset), 8, &key);
  return key;
}

std::string dead_letter_value(const DeadLetter& letter) {
  const std::string_view detail = std::string_view(letter.detail).substr(0, kLongestDetail);
  std::string value;
  value.reserve(kHeaderSize + detail.size() + letter.value.size());
  put(letter.timestamp_ms, &value);
  put(letter.batch, &value);
  put(static_cast<std::uint8_t>(letter.cause), &value);
  put(static_cast<std::uint16_t>(detail.size()), &value);
  value.append(detail);
  value.append(letter.value);
  return value;
}

std::optional<DeadLetterPlace> parse_dead_letter_key(std::string_view key) {
  if (key.size() != kKeySize || key[0] != kDeadLetterPrefix) return std::nullopt;
  return DeadLetterPlace{static_cast<PartitionId>(big_endian(key.substr(1, 4))),
                         static_cast<Offset>(big_endian(key.substr(5)))};
}

std::optional<DeadLetter> parse_dead_letter(std::string_view key, std::string_view value) {
  const auto place = parse_dead_letter_key(key);
  if (!place || value.size() < kHeaderSize) return std::nullopt;
  DeadLetter letter;
  letter.partition = place->partition;
  letter.offset = place->offset;
  letter.timestamp_ms = take<std::int64_t>(&value);
  letter.batch = take<BatchId>(&value);
  const auto cause = take<std::uint8_t>(&value);
  const auto detail_size = take<std::uint16_t>(&value);
  if (cause >= kRejectionCauses || detail_size > value.size()) return std::nullopt;
  letter.cause = static_cast<RejectionCause>(cause);
  letter.detail = value.substr(0, detail_size);
  letter.value = value.substr(detail_size);
  return letter;
}

}  // namespace clicktally
