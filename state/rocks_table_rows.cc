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
    std::string path, OpenTable table, const rocksdb::TableProperties& properties) {
  std::unique_ptr<TableRows> rows(new TableRows(std::move(path), std::move(table)));
  if (properties.num_range_deletions > 0) return rows->damaged("it holds a deletion");
  auto footer = read_footer(*rows->table_.file, rows->table_.size_bytes, rows->damaged("its end"));
  if (!footer.ok()) return footer.status();
  if (!*footer) return rows->damaged("its end");
  const absl::Status damaged = rows->damaged("its index");
  auto stored = read_block(*rows->table_.file, rows->table_.size_bytes, (*footer)->index, damaged);
  if (!stored.ok()) return stored.status();
  std::string unpacked;
  const auto index = unpack(*stored, &unpacked);
  if (!index || !rows->read_index(*index, properties.index_key_is_user_key != 0)) return damaged;
  return rows;
}

// Blocks lie in the order of their keys, one behind the other.
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
    if (!handle || handle->offset < end || handle->end() > table_.size_bytes) return false;
    end = handle->end();
    if (!keys_are_users) key.remove_suffix(std::min(key.size(), kSequenceBytes));
    if (key.empty()) return false;
    blocks_.push_back({prefix_of(key), *handle});
  }
  return std::ranges::is_sorted(blocks_, {}, &Block::last);
}

std::size_t TableRows::find(UserKey user) const {
  const StateKey key(user);
  const auto found = std::ranges::lower_bound(blocks_, prefix_of(key.bytes()), {}, &Block::last);
  return static_cast<std::size_t>(found - blocks_.begin());
}

bool BlockReader::next() {
  if (next_ == file_.blocks().size()) return false;
  if (next_ >= ahead_to_) status_ = read_ahead();
  if (!status_.ok()) return false;
  const BlockHandle& handle = file_.blocks()[next_].handle;
  const std::uint64_t ahead_begin = file_.blocks()[ahead_from_].handle.offset;
  bytes_ = handle.bytes + kBlockTrailerBytes;
  const auto stored = std::string_view(ahead_).substr(handle.offset - ahead_begin, bytes_);
  ++next_;
  const auto block = is_sound(stored) ? unpack(stored, &unpacked_) : std::nullopt;
  if (!block) {
    status_ = file_.damaged("a block");
    return false;
  }
  block_ = *block;
  return true;
}

// Twice as much as the time before: few rows are wanted as often as all of them.
absl::Status BlockReader::read_ahead() {
  const auto& blocks = file_.blocks();
  const std::uint64_t begin = blocks[next_].handle.offset;
  ahead_bytes_ = std::clamp(2 * ahead_bytes_, kLeastAhead, kMostAhead);
  ahead_from_ = next_;
  ahead_to_ = next_ + 1;
  while (ahead_to_ < blocks.size() && blocks[ahead_to_].handle.end() - begin <= ahead_bytes_) {
    ++ahead_to_;
  }
  const std::uint64_t bytes = blocks[ahead_to_ - 1].handle.end() - begin;
  ahead_.resize(bytes);
  auto got = file_.file().read_at(begin, bytes, ahead_.data());
  if (!got.ok()) return got.status();
  return *got == bytes ? absl::OkStatus() : file_.damaged("it is too short");
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
    is_put_ = kind == kPut;
    return Step::kRow;
  }
  return Step::kEnd;
}

bool TableCursor::next() {
  do {
    if (!step()) return false;
    if (user() < before_) return fail("its rows are in no order");
    before_ = user();
  } while (user() < from_);
  return true;
}

bool TableCursor::step() {
  while (true) {
    const BlockCursor::Step step = rows_.next();
    if (step == BlockCursor::Step::kRow) return true;
    if (step == BlockCursor::Step::kDamage) return fail("it holds a row that is no count");
    if (!blocks_.next()) return false;
    if (!rows_.begin(blocks_.block())) return fail("a block");
  }
}

bool TableCursor::fail(std::string_view what) {
  status_ = file_.damaged(what);
  return false;
}

absl::StatusOr<Digest> digest_of_rows(const TableRows& file, const ScanPace& pace) {
  BlockReader blocks(file, 0);
  BlockCursor rows;
  Digest sum = 0;
  while (blocks.next()) {
    if (!rows.begin(blocks.block())) return file.damaged("a block");
    BlockCursor::Step step = rows.next();
    for (; step == BlockCursor::Step::kRow; step = rows.next()) {
      sum += digest_of(rows.user(), rows.count().clicks);
    }
    if (step == BlockCursor::Step::kDamage) return file.damaged("it holds a row that is no count");
    if (!pace(blocks.bytes())) return absl::CancelledError(file.path() + ": not read to its end");
  }
  if (!blocks.status().ok()) return blocks.status();
  return sum;
}

}  // namespace clicktally
