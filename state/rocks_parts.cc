#include "state/rocks_parts.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <deque>

#include "absl/strings/str_replace.h"
#include "base/hash.h"
#include "base/log.h"
#include "model/state_key.h"
#include "state/count_value.h"
#include "state/dead_letter_row.h"
#include "state/rocks_slice.h"
#include "state/rocks_statistics.h"

namespace clicktally {
namespace {

using rocksdb::Slice;

// Adds up all operands of a user in one pass. RocksDB's own AssociativeMergeOperator would build a
// string for each of them, which in a compaction of many files costs more than the merging.
class CountMerge final : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "clicktally.count.1"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    CountValue sum;
    if (in.existing_value == nullptr && in.operand_list.size() == 1) {  // it is what it is
      out->existing_operand = in.operand_list[0];
      return add(in.operand_list[0], &sum);
    }
    if (in.existing_value != nullptr && !add(*in.existing_value, &sum)) return false;
    for (const Slice& operand : in.operand_list) {
      if (!add(operand, &sum)) return false;
    }
    out->new_value.resize(CountValue::kSize);
    sum.write_to(out->new_value.data());
    return true;
  }

  bool PartialMergeMulti(const Slice& /*key*/, const std::deque<Slice>& operands,
                         std::string* merged, rocksdb::Logger* /*logger*/) const override {
    CountValue sum;
    for (const Slice& operand : operands) {
      if (!add(operand, &sum)) return false;
    }
    merged->resize(CountValue::kSize);
    sum.write_to(merged->data());
    return true;
  }

 private:
  static bool add(const Slice& bytes, CountValue* sum) {
    const auto value = CountValue::parse(view_of(bytes));
    if (value) sum->merge(*value);
    return value.has_value();
  }
};

// Sums what a file holds while it is written. Counts are only ever added to, so flushes, ingestion
// and compaction keep the sum over all files (I4). A deletion of a count would not; it marks the
// file.
class DigestCollector final : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "clicktally.digest"; }

  rocksdb::Status AddUserKey(const Slice& key, const Slice& value, rocksdb::EntryType type,
                             rocksdb::SequenceNumber /*sequence*/,
                             std::uint64_t /*file_size*/) override {
    if (key.size() == 0 || key[0] != kUserPrefix) return rocksdb::Status::OK();
    const auto user = StateKey::parse(view_of(key));
    const auto count = CountValue::parse(view_of(value));
    const bool adds = type == rocksdb::kEntryPut || type == rocksdb::kEntryMerge;
    if (!adds || !user || !count) {
      wrong_ = true;
    } else {
      sum_ += digest_of(*user, count->clicks);
      if (users_ == 0 || *user != last_user_) ++users_;
      last_user_ = *user;
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    for (const auto& [name, value] : GetReadableProperties()) (*properties)[name] = value;
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override {
    return {{kDigestProperty, wrong_ ? "wrong" : to_hex(sum_)},
            {kUsersProperty, std::to_string(users_)}};
  }

 private:
  Digest sum_ = 0;
  bool wrong_ = false;
  std::int64_t users_ = 0;  // different ones: the entries of one stand together
  UserKey last_user_ = 0;
};

class DigestCollectorFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "clicktally.digest"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(
      rocksdb::TablePropertiesCollectorFactory::Context /*context*/) override {
    return new DigestCollector;  // owned by the caller, as RocksDB's interface has it
  }
};

// Leaves out dead letters that are not needed any more. They are below a committed floor, which
// never falls, so nobody asks for them: neither a view nor a crash can tell.
class DeadLetterFilter final : public rocksdb::CompactionFilter {
 public:
  explicit DeadLetterFilter(std::map<PartitionId, Offset> floors) : floors_(std::move(floors)) {}
  const char* Name() const override { return "clicktally.dead_letters"; }
  Decision FilterV2(int /*level*/, const Slice& key, ValueType /*type*/, const Slice& /*value*/,
                    std::string* /*new_value*/, std::string* /*skip_until*/) const override {
    if (key.size() == 0 || key[0] != kDeadLetterPrefix) return Decision::kKeep;
    const auto place = parse_dead_letter_key(view_of(key));
    if (!place) return Decision::kKeep;
    const auto floor = floors_.find(place->partition);
    const bool needed = floor == floors_.end() || place->offset >= floor->second;
    return needed ? Decision::kKeep : Decision::kRemove;
  }

 private:
  const std::map<PartitionId, Offset> floors_;
};

class DeadLetterFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit DeadLetterFilterFactory(std::shared_ptr<const DeadLetterFloors> floors)
      : floors_(std::move(floors)) {}
  const char* Name() const override { return "clicktally.dead_letters"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& /*context*/) override {
    auto floors = floors_->get();
    if (floors.empty()) return nullptr;  // a filter would look at every count
    return std::make_unique<DeadLetterFilter>(std::move(floors));
  }

 private:
  const std::shared_ptr<const DeadLetterFloors> floors_;
};

// RocksDB's warnings go to our log; its own LOG files would grow beside the state.
class LogAdapter final : public rocksdb::Logger {
 public:
  LogAdapter() : Logger(rocksdb::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    log_debug("rocksdb: {}", line);
  }
};

}  // namespace

void DeadLetterFloors::raise(const std::map<PartitionId, Offset>& floors) {
  const std::lock_guard lock(mutex_);
  for (const auto& [partition, offset] : floors) {
    if (offset > 0) floors_[partition] = std::max(floors_[partition], offset);
  }
}

std::map<PartitionId, Offset> DeadLetterFloors::get() const {
  const std::lock_guard lock(mutex_);
  return floors_;
}

rocksdb::Options rocks_options(const CountStoreOptions& options, rocksdb::Env* env,
                               std::shared_ptr<const DeadLetterFloors> floors) {
  rocksdb::Options rocks;
  rocks.env = env;
  rocks.info_log = std::make_shared<LogAdapter>();
  rocks.merge_operator = std::make_shared<CountMerge>();
  rocks.table_properties_collector_factories = {std::make_shared<DigestCollectorFactory>()};
  rocks.compaction_filter_factory = std::make_shared<DeadLetterFilterFactory>(std::move(floors));
  rocks.compression = rocksdb::kLZ4Compression;

  // A torn last record is a commit that never was acknowledged; anything else wrong in the log is
  // damage. The default mode would open at an older commit without a word.
  rocks.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocks.track_and_verify_wals_in_manifest = false;  // false alarms on 7.8.3
  rocks.avoid_flush_during_shutdown = true;         // the log is synced already
  rocks.max_manifest_file_size = 4 << 20;
  rocks.skip_stats_update_on_db_open = true;
  rocks.stats_dump_period_sec = 0;
  rocks.stats_persist_period_sec = 0;

  rocks.write_buffer_size = options.memtable_bytes;
  // Commits are sorted: the place of each row is near that of the row before.
  rocks.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  rocks.max_background_jobs = options.background_threads;
  rocks.max_open_files = -1;  // readers stay open: no open() on the way of a trigger
  // RocksDB starts all of its sixteen threads for every opening, be there one file to open or none.
  rocks.max_file_opening_threads = options.background_threads;
  rocks.level_compaction_dynamic_level_bytes = true;
  // A compaction rewrites the users of the whole next level, however few files it takes from level
  // 0: the later it begins, the less often each user is written.
  rocks.level0_file_num_compaction_trigger = std::max(2, options.most_level0_files / 2);
  // The store bounds level 0 itself and before RocksDB would stall a write in the middle of a
  // commit.
  rocks.level0_slowdown_writes_trigger = 4 * options.most_level0_files;
  rocks.level0_stop_writes_trigger = 8 * options.most_level0_files;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.block_size = 16 << 10;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  rocks.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return rocks;
}

// A table that is missing is looked for under LevelDB's name last, and so reported as .ldb.
std::string words_of(const rocksdb::Status& status) {
  return absl::StrReplaceAll(status.ToString(), {{".ldb: ", ".sst: "},
                                                 {"Corruption: Corruption: ", "Corruption: "},
                                                 {"IO error: No such file or directory: ", ""}});
}

std::optional<Digest> digest_property(const rocksdb::TableProperties& properties) {
  const auto found = properties.user_collected_properties.find(kDigestProperty);
  Digest digest = 0;
  if (found == properties.user_collected_properties.end() || !from_hex(found->second, &digest)) {
    return std::nullopt;
  }
  return digest;
}

}  // namespace clicktally
