// Steps through the counts of a table file, beside RocksDB. Private to this room.
//
// RocksDB's iterator takes some 240 ns for a row, of files that do not even overlap, and there is
// no other way in its interface to read a table (decision 22). This one takes a sixth. It knows
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
#include "model/digest.h"
#include "model/user_key.h"
#include "state/count_store.h"
#include "state/count_value.h"
#include "state/rocks_blocks.h"
#include "state/rocks_file_system.h"

namespace clicktally {

// A table file with the list of its blocks.
class TableRows {
 public:
  // `properties` are those that RocksDB read of the file.
  static absl::StatusOr<std::unique_ptr<TableRows>> open(
      std::string path, OpenTable table, const rocksdb::TableProperties& properties);

  struct Block {
    std::uint64_t last = 0;  // not below the first bytes of its last key
    BlockHandle handle;
  };
  const std::vector<Block>& blocks() const { return blocks_; }
  // The first block that may hold a count of `user` or of one after it.
  std::size_t find(UserKey user) const;
  const std::string& path() const { return path_; }
  const RandomFile& file() const { return *table_.file; }
  absl::Status damaged(std::string_view what) const;

 private:
  TableRows(std::string path, OpenTable table) : path_(std::move(path)), table_(std::move(table)) {}
  bool read_index(std::string_view index, bool keys_are_users);

  const std::string path_;
  const OpenTable table_;
  std::vector<Block> blocks_;
};

// The blocks of a file, found sound and unpacked, one after the other.
class BlockReader {
 public:
  // Borrows `file`. `first` is the number of a block.
  BlockReader(const TableRows& file, std::size_t first) : file_(file), next_(first) {}

  // False at the end, or when it failed.
  bool next();
  const absl::Status& status() const { return status_; }
  std::string_view block() const { return block_; }  // until the next one
  std::uint64_t bytes() const { return bytes_; }     // of it, as it lies on the disk

 private:
  absl::Status read_ahead();

  const TableRows& file_;
  std::size_t next_;
  // Blocks [ahead_from_, ahead_to_), read in one go: ever more of them, up to a bound.
  std::string ahead_;
  std::size_t ahead_from_ = 0;
  std::size_t ahead_to_ = 0;
  std::uint64_t ahead_bytes_ = 0;
  std::string unpacked_;
  std::string_view block_;
  std::uint64_t bytes_ = 0;
  absl::Status status_;
};

// The entries of one block; those that are no counts are passed over.
class BlockCursor {
 public:
  enum class Step { kRow, kEnd, kDamage };

  BlockCursor() = default;
  // Borrows `block` until the next one. False if it is none.
  bool begin(std::string_view block);
  Step next();
  UserKey user() const { return user_; }
  const CountValue& count() const { return count_; }
  bool is_put() const { return is_put_; }  // what others are added to; else it is added itself

 private:
  bool take_entry(std::string_view* value);

  static constexpr std::size_t kLongestKey = 32;

  std::string_view rest_;
  std::array<char, kLongestKey> key_{};
  std::size_t key_bytes_ = 0;
  UserKey user_ = kNullUser;
  CountValue count_;
  bool is_put_ = false;
};

// The counts of a file from one user on, in order. A user may come more than once: its count is the
// sum.
class TableCursor {
 public:
  // Borrows `file`.
  TableCursor(const TableRows& file, UserKey from)
      : file_(file), from_(from), blocks_(file, file.find(from)) {}

  // To the first count, and on. False at the end, or when it failed.
  bool next();
  absl::Status status() const { return status_.ok() ? blocks_.status() : status_; }
  UserKey user() const { return rows_.user(); }
  const CountValue& count() const { return rows_.count(); }
  bool is_put() const { return rows_.is_put(); }
  absl::Status damaged(std::string_view what) const { return file_.damaged(what); }

 private:
  bool step();
  bool fail(std::string_view what);

  const TableRows& file_;
  const UserKey from_;
  UserKey before_ = kFirstUser;
  BlockReader blocks_;
  BlockCursor rows_;
  absl::Status status_;
};

// The digest of all counts in a file; every block of it is read. kCancelled if `pace` said so.
absl::StatusOr<Digest> digest_of_rows(const TableRows& file, const ScanPace& pace);

}  // namespace clicktally
