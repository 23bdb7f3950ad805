// Steps through the counts of a table file, beside RocksDB. Private to this room.
//
// RocksDB's iterator takes some 240 ns for a row, of files that do not even overlap, and there is
// no other way in its interface to read a table (decision 22). This one takes a tenth. It knows
// the format of RocksDB's block_based tables as rocks_options() asks for it, and no other:
// table/format.h, table/block_based/block_builder.cc.
//
//     block   entries, LE32 where each group of entries begins, LE32 how many groups
//     entry   varint bytes shared with the key before | varint own bytes of the key |
//             varint bytes of the value | own bytes | value
//     key     the store's own, LE64: (sequence number << 8) | kind of entry
//     index   a block too: of each block a key that is at least its last, behind it the handle,
//             without the length of the value
//
// Every block is compared with its checksum before anything in it is believed; then every length
// is still checked.
//
// Threads: TableRows may be shared, a cursor is of one thread. Errors: kDataLoss for what is
// damaged, a deletion among the counts too; what the disk said if it refused.
#pragma once

#include <rocksdb/table_properties.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "model/user_key.h"
#include "state/count_value.h"
#include "state/rocks_blocks.h"

namespace clicktally {

// A table file with the list of its blocks.
class TableRows {
 public:
  // `properties` are those that RocksDB read of the file.
  static absl::StatusOr<std::unique_ptr<TableRows>> open(
      Disk& disk, std::string path, const rocksdb::TableProperties& properties);

 private:
  friend class TableCursor;
  struct Block {
    std::uint64_t last = 0;  // not below the first bytes of its last key (prefix_of)
    BlockHandle handle;
  };

  TableRows(std::string path, std::unique_ptr<RandomFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}
  bool read_index(std::string_view index, bool keys_are_users);
  absl::Status damaged(std::string_view what) const;

  const std::string path_;
  const std::unique_ptr<RandomFile> file_;
  std::vector<Block> blocks_;
};

// The entries of one block, unpacked; those that are no counts are passed over.
class BlockCursor {
 public:
  enum class Step { kRow, kEnd, kDamage };

  BlockCursor() = default;
  // Borrows `block` until the next one. False if it is none.
  bool begin(std::string_view block);
  Step next();
  UserKey user() const { return user_; }
  const CountValue& count() const { return count_; }

 private:
  bool take_entry(std::string_view* value);

  static constexpr std::size_t kLongestKey = 32;

  std::string_view rest_;
  std::array<char, kLongestKey> key_{};
  std::size_t key_bytes_ = 0;
  UserKey user_ = kNullUser;
  CountValue count_;
};

// The counts of a file from one user on, in order. A user may come more than once: its count is the
// sum.
class TableCursor {
 public:
  explicit TableCursor(const TableRows& file) : file_(file) {}

  // To the first count that is not below `from`. False at the end, or when it failed.
  bool seek(UserKey from);
  bool next();
  absl::Status status() const { return status_; }
  UserKey user() const { return rows_.user(); }
  const CountValue& count() const { return rows_.count(); }

 private:
  bool next_block();
  absl::Status read_ahead();

  const TableRows& file_;
  std::size_t block_ = 0;  // the next one to step through
  // Blocks read in one go, [ahead_from_, ahead_to_): ever more of them, up to a bound.
  std::string ahead_;
  std::size_t ahead_from_ = 0;
  std::size_t ahead_to_ = 0;
  std::uint64_t ahead_bytes_ = 0;
  std::string unpacked_;
  BlockCursor rows_;
  absl::Status status_;
};

}  // namespace clicktally
