#include "state/rocks_statistics.h"

#include <rocksdb/metadata.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "model/state_key.h"
#include "state/count_value.h"
#include "state/rocks_slice.h"

namespace clicktally {
namespace {

using rocksdb::Slice;

// Of a file that was written before files said how many: all its entries, which may be too many.
struct UsersOfFile {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

struct FileOfLevel {
  int level = 0;
  UsersOfFile users;
};

UsersOfFile users_of(const rocksdb::TableProperties& properties) {
  const auto found = properties.user_collected_properties.find(kUsersProperty);
  std::int64_t users = 0;
  if (found != properties.user_collected_properties.end() &&
      absl::SimpleAtoi(found->second, &users)) {
    return {users, users};
  }
  return {0, static_cast<std::int64_t>(properties.num_entries)};
}

std::uint64_t bytes_between(rocksdb::DB& db, UserKey from, UserKey to) {
  const StateKey first(from);
  const StateKey last(to);
  const rocksdb::Range range(slice_of(first.bytes()), slice_of(last.bytes()));
  std::uint64_t bytes = 0;
  rocksdb::SizeApproximationOptions options;
  options.files_size_error_margin = -1;  // exact to a block
  if (!db.GetApproximateSizes(options, db.DefaultColumnFamily(), &range, 1, &bytes).ok()) return 0;
  return bytes;
}

}  // namespace

// An iterator over the memtable alone sees exactly what the log holds and no file does yet, but for
// deletions. We never write one, so one that is there hides a count that a file still adds up.
rocksdb::Status scan_log(rocksdb::DB& db, const std::function<void(const UserCount&)>& visit) {
  for (const std::string& name : {rocksdb::DB::Properties::kNumDeletesActiveMemTable,
                                  rocksdb::DB::Properties::kNumDeletesImmMemTables}) {
    std::uint64_t deletions = 0;
    if (!db.GetIntProperty(name, &deletions)) {
      return rocksdb::Status::Corruption("RocksDB does not know " + name);
    }
    if (deletions > 0) return rocksdb::Status::Corruption("the log holds a deletion");
  }
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kMemtableTier;
  const std::unique_ptr<rocksdb::Iterator> rows(db.NewIterator(options));
  const char first[] = {kUserPrefix};
  for (rows->Seek(Slice(first, 1)); rows->Valid() && rows->key()[0] == kUserPrefix; rows->Next()) {
    const auto user = StateKey::parse(view_of(rows->key()));
    const auto count = CountValue::parse(view_of(rows->value()));
    if (!user || !count) {
      return rocksdb::Status::Corruption("the log holds a row that is no count");
    }
    visit({*user, count->clicks, count->last_batch});
  }
  return rows->status();
}

rocksdb::Status read_log_part(rocksdb::DB& db, LogPart* part) {
  return scan_log(db, [part](const UserCount& row) {
    part->digest += digest_of(row.user, row.clicks);
    ++part->users;
  });
}

// Levels and properties are asked for one after the other. In a state that is written to a
// compaction may come between the two; then both are asked again.
rocksdb::Status read_files(rocksdb::DB& db, std::vector<FileOfLevel>* files) {
  while (true) {
    rocksdb::TablePropertiesCollection properties;
    if (rocksdb::Status s = db.GetPropertiesOfAllTables(&properties); !s.ok()) return s;
    std::map<std::string, UsersOfFile> users;
    for (const auto& [path, of_file] : properties) {
      users[path.substr(path.find_last_of('/') + 1)] = users_of(*of_file);
    }
    std::vector<rocksdb::LiveFileMetaData> live;
    db.GetLiveFilesMetaData(&live);
    files->clear();
    for (const auto& file : live) {
      const auto found = users.find(file.name.substr(file.name.find_last_of('/') + 1));
      if (found != users.end()) files->push_back({file.level, found->second});
    }
    if (files->size() == live.size()) return rocksdb::Status::OK();
  }
}

// The files of one level, below the first, share no key; those of the first and the log may share
// all of theirs.
rocksdb::Status bound_users(rocksdb::DB& db, UserBounds* bounds) {
  LogPart log;
  if (rocksdb::Status s = read_log_part(db, &log); !s.ok()) return s;
  std::vector<FileOfLevel> files;
  if (rocksdb::Status s = read_files(db, &files); !s.ok()) return s;
  std::map<int, std::int64_t> of_level;
  *bounds = {.least = log.users, .most = log.users};
  for (const FileOfLevel& file : files) {
    bounds->most += file.users.most;
    std::int64_t& level = of_level[file.level];
    level = file.level == 0 ? std::max(level, file.users.least) : level + file.users.least;
    bounds->least = std::max(bounds->least, level);
  }
  return rocksdb::Status::OK();
}

std::vector<UserKey> split_users(rocksdb::DB& db, std::size_t parts) {
  constexpr UserKey kEnd = kLastUser;
  const std::uint64_t all = bytes_between(db, kFirstUser, kEnd);
  std::vector<UserKey> cuts;
  for (std::size_t part = 1; part < parts && all > 0; ++part) {
    const std::uint64_t wanted = all / parts * part;
    UserKey low = cuts.empty() ? kFirstUser : cuts.back();
    UserKey high = kEnd;
    while (low + 1 < high) {
      const UserKey middle = low + (high - low) / 2;
      (bytes_between(db, kFirstUser, middle) < wanted ? low : high) = middle;
    }
    if (high < kEnd && (cuts.empty() || high > cuts.back())) cuts.push_back(high);
  }
  return cuts;
}

}  // namespace clicktally
