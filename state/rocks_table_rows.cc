#include "state/rocks_table_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <optional>

#include "model/state_key.h"
#include "state/varint.h"

namespace clicktally {
namespace {

constexpr std::size_t kPlaceBytes = 4;     // of the number of a place in a block
constexpr std::size_t kSequenceBytes = 8;  // behind the key of an entry
// rocksdb::ValueType, which is not in its interface
constexpr char kPut = 1;
constexpr char kMerge = 2;
constexpr std::uint64_t kLeastAhead = 16 << 10;
constexpr std::uint64_t kMostAhead = 256 << 10;

// Orders keys as their bytes do, as far as these are the longest key of a user.
std::uint64_t prefix_of(std::string_view key) {
  std::array<unsigned char, 8> bytes{};
  std::copy_n(key.begin(), std::min<std::size_t>(key.size(), 6), bytes.begin());
  return boost::endian::load_big_u64(bytes.data());
}

// The entries of a block, without the list of places at its end.
std::optional<std::string_view> entries_of(std::string_view block) {
  if (block.size() < kPlaceBytes) return std::nullopt;
  const std::size_t bytes = block.size() - kPlaceBytes;
  const std::uint64_t places =
      boost::endian::load_little_u32(reinterpret_cast<const unsigned char*>(block.data() + bytes));
  if (places > bytes / kPlaceBytes) return std::nullopt;
  return block.substr(0, bytes - places * kPlaceBytes);
}

bool all_short(std::string_view lengths) {
  return ((lengths[0] | lengths[1] | lengths[2]) & 0x80) == 0;
}

}  // namespace

absl::Status TableRows::damaged(std::string_view what) const {
  return absl::DataLossError(
      fmt::format("{}: damaged: {}; restore the checkpoint from a backup", path_, what));
}

absl::StatusOr<std::unique_ptr<TableRows>> TableRows::open(
    Disk& disk, std::string path, const rocksdb::TableProperties& properties) {
  auto info = disk.stat(path);
  if (!info.ok()) return info.status();
  auto opened = disk.open_random(path);
  if (!opened.ok()) return opened.status();
  std::unique_ptr<TableRows> table(new TableRows(std::move(path), std::move(*opened)));
  if (properties.num_range_deletions > 0) return table->damaged("it holds a deletion");
  auto footer = read_footer(*table->file_, info->size_bytes);
  if (!footer.ok() && !absl::IsDataLoss(footer.status())) return footer.status();
  if (!footer.ok() || !*footer) return table->damaged("its end");
  auto stored = read_block(*table->file_, (*footer)->index);
  if (!stored.ok() && !absl::IsDataLoss(stored.status())) return stored.status();
  std::string unpacked;
  const auto index = stored.ok() ? unpack(*stored, &unpacked) : std::nullopt;
  if (!index || !table->read_index(*index, properties.index_key_is_user_key != 0)) {
    return table->damaged("its index");
  }
  return table;
}

// Blocks lie in the order of their keys, one behind the other. Those before the counts are left
// out.
bool TableRows::read_index(std::string_view index, bool keys_are_users) {
  const auto entries = entries_of(index);
  if (!entries) return false;
  std::string_view rest = *entries;
  std::uint64_t end = 0;
  while (!rest.empty()) {
    const auto shared = take_varint(&rest);
    const auto own = take_varint(&rest);
    if (!shared || !own || *shared != 0 || *own > rest.size()) return false;
    std::string_view key = rest.substr(0, *own);
    rest.remove_prefix(*own);
    const auto handle = take_handle(&rest);
    if (!handle || handle->offset < end) return false;
    end = handle->end();
    if (!keys_are_users) key.remove_suffix(std::min(key.size(), kSequenceBytes));
    if (key.empty() || key[0] < kUserPrefix) continue;
    if (handle->bytes > kLongestBlock) return false;
    blocks_.push_back({prefix_of(key), *handle});
  }
  return std::ranges::is_sorted(blocks_, {}, &Block::last);
}

bool BlockCursor::begin(std::string_view block) {
  const auto entries = entries_of(block);
  rest_ = entries.value_or("");
  key_bytes_ = 0;
  return entries.has_value();
}

bool BlockCursor::take_entry(std::string_view* value) {
  std::uint64_t shared = 0;
  std::uint64_t own = 0;
  std::uint64_t bytes = 0;
  if (rest_.size() >= 3 && all_short(rest_)) {
    shared = static_cast<unsigned char>(rest_[0]);
    own = static_cast<unsigned char>(rest_[1]);
    bytes = static_cast<unsigned char>(rest_[2]);
    rest_.remove_prefix(3);
  } else {
    const auto first = take_varint(&rest_);
    const auto second = take_varint(&rest_);
    const auto third = take_varint(&rest_);
    if (!first || !second || !third) return false;
    shared = *first;
    own = *second;
    bytes = *third;
  }
  if (shared > key_bytes_ || own > kLongestKey - shared || own > rest_.size()) return false;
  std::copy_n(rest_.begin(), own, key_.begin() + shared);
  key_bytes_ = shared + own;
  rest_.remove_prefix(own);
  if (bytes > rest_.size()) return false;
  *value = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return true;
}

BlockCursor::Step BlockCursor::next() {
  while (!rest_.empty()) {
    std::string_view value;
    if (!take_entry(&value) || key_bytes_ < kSequenceBytes) return Step::kDamage;
    const std::string_view key(key_.data(), key_bytes_ - kSequenceBytes);
    if (key.empty() || key[0] != kUserPrefix) continue;
    const char kind = key_[key.size()];
    const auto user = StateKey::parse(key);
    const auto count = CountValue::parse(value);
    if ((kind != kPut && kind != kMerge) || !user || !count) return Step::kDamage;
    user_ = *user;
    count_ = *count;
    return Step::kRow;
  }
  return Step::kEnd;
}

bool TableCursor::seek(UserKey from) {
  const StateKey key(from);
  block_ = static_cast<std::size_t>(
      std::ranges::lower_bound(file_.blocks_, prefix_of(key.bytes()), {}, &TableRows::Block::last) -
      file_.blocks_.begin());
  do {
    if (!next()) return false;
  } while (user() < from);
  return true;
}

bool TableCursor::next() {
  while (true) {
    switch (rows_.next()) {
      case BlockCursor::Step::kRow:
        return true;
      case BlockCursor::Step::kDamage:
        status_ = file_.damaged("it holds a row that is no count");
        return false;
      case BlockCursor::Step::kEnd:
        if (!next_block()) return false;
    }
  }
}

bool TableCursor::next_block() {
  if (block_ == file_.blocks_.size()) return false;
  if (block_ >= ahead_to_) status_ = read_ahead();
  if (!status_.ok()) return false;
  const BlockHandle& handle = file_.blocks_[block_].handle;
  const std::string_view stored = std::string_view(ahead_).substr(
      handle.offset - file_.blocks_[ahead_from_].handle.offset, handle.bytes + kBlockTrailerBytes);
  ++block_;
  const auto block = is_sound(stored) ? unpack(stored, &unpacked_) : std::nullopt;
  if (block && rows_.begin(*block)) return true;
  status_ = file_.damaged("a block of counts");
  return false;
}

// Twice as much as the time before: few rows are wanted as often as all of them.
absl::Status TableCursor::read_ahead() {
  const auto begin_of = [&](std::size_t block) { return file_.blocks_[block].handle.offset; };
  ahead_bytes_ = std::clamp(2 * ahead_bytes_, kLeastAhead, kMostAhead);
  ahead_from_ = block_;
  ahead_to_ = block_ + 1;
  while (ahead_to_ < file_.blocks_.size() &&
         file_.blocks_[ahead_to_].handle.end() - begin_of(block_) <= ahead_bytes_) {
    ++ahead_to_;
  }
  const std::uint64_t bytes = file_.blocks_[ahead_to_ - 1].handle.end() - begin_of(block_);
  ahead_.resize(bytes);
  auto got = file_.file_->read_at(begin_of(block_), bytes, ahead_.data());
  if (!got.ok()) return got.status();
  return *got == bytes ? absl::OkStatus() : file_.damaged("it is too short");
}

}  // namespace clicktally
