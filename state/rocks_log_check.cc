#include "state/rocks_log_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>
#include <optional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "state/varint.h"

namespace clicktally {
namespace {

using boost::endian::load_little_u16;
using boost::endian::load_little_u32;
using boost::endian::load_little_u64;

// In a record of the MANIFEST.
constexpr std::uint64_t kLogTag = 2;
// A log ends with its memtable, at some 8 MiB, a MANIFEST at 4 MiB; what is larger is damaged.
constexpr std::size_t kLargestFile = 256 << 20;
constexpr std::size_t kBlockBytes = 32 << 10;
constexpr std::size_t kHeaderBytes = 7;
constexpr std::size_t kRowsAt = 8;
constexpr std::size_t kSmallestRecord = 12;

enum Part : unsigned char { kWhole = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

const unsigned char* at_byte(std::string_view bytes, std::size_t at) {
  return reinterpret_cast<const unsigned char*>(bytes.data()) + at;
}

std::uint32_t checksum_of(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(static_cast<std::uint32_t>(crc.checksum()), 15) + 0xa282ead8U;
}

// Takes the fragments of one log file.
class Records {
 public:
  explicit Records(std::string_view log) : rest_(log) {}

  // The next record; nothing at the end and at the first that is not whole.
  std::optional<std::string> next() {
    std::string record;
    for (bool begins = true;; begins = false) {
      const auto part = take_fragment(&record);
      if (!part || begins != (part == kWhole || part == kFirst)) return std::nullopt;
      if (part == kWhole || part == kLast) return record;
    }
  }

 private:
  std::optional<Part> take_fragment(std::string* record) {
    if (left_in_block_ < kHeaderBytes) take(left_in_block_);
    if (rest_.size() < kHeaderBytes) return std::nullopt;
    const std::size_t bytes = load_little_u16(at_byte(rest_, 4));
    const unsigned char part = *at_byte(rest_, 6);
    if (part < kWhole || part > kLast) return std::nullopt;
    if (bytes > std::min(rest_.size(), left_in_block_) - kHeaderBytes) return std::nullopt;
    const std::string_view covered = rest_.substr(kHeaderBytes - 1, bytes + 1);
    if (load_little_u32(at_byte(rest_, 0)) != checksum_of(covered)) return std::nullopt;
    record->append(covered.substr(1));
    take(kHeaderBytes + bytes);
    return static_cast<Part>(part);
  }

  void take(std::size_t bytes) {
    rest_.remove_prefix(std::min(bytes, rest_.size()));
    left_in_block_ -= bytes;
    if (left_in_block_ == 0) left_in_block_ = kBlockBytes;
  }

  std::string_view rest_;
  std::size_t left_in_block_ = kBlockBytes;
};

absl::StatusOr<std::string> read_whole(Disk& disk, const std::string& path) {
  return read_file(disk, path, kLargestFile);
}

// 0 for what is no log file.
std::uint64_t number_of(const std::string& name) {
  std::uint64_t number = 0;
  const bool is_number = absl::SimpleAtoi(name.substr(0, name.find('.')), &number);
  return is_number && name == fmt::format("{:06}.log", number) ? number : 0;
}

// Length before the bytes, or a number: what a tag of the MANIFEST is followed by.
enum class Follows { kNothingWeKnow, kBytes, kNumber };

Follows what_follows(std::uint64_t tag) {
  switch (tag) {
    case 1:     // the comparator's name
    case 8193:  // the database's id
      return Follows::kBytes;
    case kLogTag:  // the first log that is needed
    case 3:        // the next number of a file
    case 4:        // the last sequence number
    case 9:        // the log before
    case 10:       // the first log that is kept
    case 203:      // column families
      return Follows::kNumber;
    default:  // files of tables, which stand after these
      return Follows::kNothingWeKnow;
  }
}

// 0 if the MANIFEST does not say.
std::uint64_t first_log_in(std::string_view manifest) {
  std::uint64_t first = 0;
  Records edits(manifest);
  while (const auto edit = edits.next()) {
    std::string_view rest = *edit;
    while (const auto tag = take_varint(&rest)) {
      const Follows follows = what_follows(*tag);
      if (follows == Follows::kNothingWeKnow) break;
      const auto value = take_varint(&rest);
      if (!value) break;
      if (*tag == kLogTag) first = std::max(first, *value);
      if (follows == Follows::kBytes) rest.remove_prefix(std::min(*value, rest.size()));
    }
  }
  return first;
}

// The number of the first log that RocksDB will read; 0 where it will refuse the state.
absl::StatusOr<std::uint64_t> first_needed(Disk& disk, const std::string& directory) {
  auto current = read_file(disk, directory + "/CURRENT");
  if (!current.ok()) return current.status();
  const std::string name = current->substr(0, current->find('\n'));
  if (!name.starts_with("MANIFEST-") || name.find('/') != std::string::npos) return 0;
  auto manifest = read_whole(disk, directory + "/" + name);
  if (!manifest.ok()) return manifest.status();
  return first_log_in(*manifest);
}

// In the order in which RocksDB reads them. One alone cannot be out of order, and most states have
// one: nothing else is read then, for an opening must be quick.
absl::StatusOr<std::vector<std::string>> needed_logs(Disk& disk, const std::string& directory) {
  auto names = disk.list(directory);
  if (!names.ok()) return names.status();
  std::erase_if(*names, [&](const std::string& name) { return number_of(name) == 0; });
  if (names->size() < 2) return names;
  auto first = first_needed(disk, directory);
  if (!first.ok()) return first.status();
  std::erase_if(*names, [&](const std::string& name) { return number_of(name) < *first; });
  std::ranges::stable_sort(*names, {}, number_of);
  return names;
}

absl::Status damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(path + ": damaged: " + std::string(what));
}

}  // namespace

absl::Status check_logs(Disk& disk, const std::string& directory) {
  auto names = needed_logs(disk, directory);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  if (names->size() < 2) return absl::OkStatus();
  std::optional<std::uint64_t> next_row;
  std::string before;
  for (const std::string& name : *names) {
    const std::string path = directory + "/" + name;
    auto log = read_whole(disk, path);
    if (!log.ok()) return log.status();
    Records records(*log);
    while (const auto record = records.next()) {
      if (record->size() < kSmallestRecord) break;
      const std::uint64_t first_row = load_little_u64(at_byte(*record, 0));
      if (next_row && first_row < *next_row) return damaged(path, "it goes back to earlier rows");
      if (next_row && first_row > *next_row)
        return damaged(before, "rows are missing at its end or after it");
      next_row = first_row + load_little_u32(at_byte(*record, kRowsAt));
      before = path;
    }
  }
  return absl::OkStatus();
}

}  // namespace clicktally
