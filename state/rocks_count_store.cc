#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>

#include "base/crash_points.h"
#include "model/state_key.h"
#include "state/count_store.h"
#include "state/count_value.h"
#include "state/dead_letter_row.h"
#include "state/rocks_log_check.h"
#include "state/rocks_parts.h"
#include "state/rocks_settled_counts.h"
#include "state/rocks_slice.h"
#include "state/rocks_statistics.h"
#include "state/rocks_table_rows.h"
#include "state/rocks_view.h"
#include "state/statistics.h"

namespace clicktally {
namespace {

using rocksdb::Slice;

constexpr std::string_view kCommitKey = "mcommit";

std::string history_key(BatchId batch) {
  const auto slot = static_cast<std::uint16_t>(batch % kHistorySlots);
  return {'b', static_cast<char>(slot >> 8), static_cast<char>(slot & 0xFF)};
}

class RocksCountStore final : public CountStore, public Statistics {
 public:
  RocksCountStore(Disk& disk, std::string path, OpenMode mode, const CountStoreOptions& options)
      : path_(std::move(path)),
        mode_(mode),
        options_(options),
        read_only_disk_(mode == OpenMode::kReadOnly ? make_read_only_disk(disk) : nullptr),
        disk_(read_only_disk_ ? *read_only_disk_ : disk),
        file_system_(std::make_shared<RocksFileSystem>(disk_)),
        env_(rocksdb::NewCompositeEnv(file_system_)),
        watch_(std::make_shared<CompactionWatch>()),
        floors_(std::make_shared<DeadLetterFloors>()),
        rocks_(rocks_options(options, env_.get(), floors_)) {
    rocks_.listeners = {watch_};
  }

  absl::Status open();

  absl::Status commit(const StateCommit& commit) override;
  void drop_dead_letters_below(const std::map<PartitionId, Offset>& floors) override {
    floors_->raise(floors);
  }
  absl::StatusOr<std::string> last_record() const override { return value_of(kCommitKey); }
  absl::StatusOr<std::optional<std::string>> history(BatchId batch) const override;
  absl::StatusOr<std::unique_ptr<CountView>> view() const override {
    const auto words = [this](const rocksdb::Status& status) { return status_of(status); };
    if (mode_ == OpenMode::kReadOnly) {
      return make_settled_view(*db_, words, [this] { return settled_counts(); });
    }
    return make_rocks_view(*db_, words);
  }
  absl::StatusOr<Digest> sum_of_file_digests() const override;
  absl::StatusOr<UserBounds> user_bounds() const override;
  std::vector<UserKey> split(std::size_t parts) const override { return split_users(*db_, parts); }
  absl::StatusOr<bool> shorten_log() override;
  absl::Status snapshot_to(const std::string& path) override;
  std::vector<TableFile> table_files() const override;
  absl::Status scan_table_file(const std::string& name, const ScanPace& pace) const override;

 private:
  absl::Status status_of(const rocksdb::Status& status) const;
  absl::StatusOr<std::string> value_of(std::string_view key) const;
  absl::StatusOr<std::unique_ptr<TableRows>> rows_of(
      const std::string& path, const rocksdb::TableProperties& properties) const;
  absl::StatusOr<const SettledCounts*> settled_counts() const;
  absl::Status sweep_staged_files();
  rocksdb::Status wait_for_level0();
  std::uint64_t number_of(const std::string& property) const;
  bool is_large(const StateCommit& commit) const;
  rocksdb::Status log(const StateCommit& commit);
  rocksdb::Status ingest(const StateCommit& commit);

  const std::string path_;
  const OpenMode mode_;
  const CountStoreOptions options_;
  const std::unique_ptr<Disk> read_only_disk_;
  Disk& disk_;
  const std::shared_ptr<RocksFileSystem> file_system_;
  const std::unique_ptr<rocksdb::Env> env_;
  const std::shared_ptr<CompactionWatch> watch_;
  const std::shared_ptr<DeadLetterFloors> floors_;
  rocksdb::Options rocks_;
  std::unique_ptr<rocksdb::DB> db_;
  mutable std::mutex settled_mutex_;
  mutable std::unique_ptr<SettledCounts> settled_;  // guarded by settled_mutex_; set once
  absl::Status failed_;                             // of the commit that failed
  bool log_is_shortened_ = false;                   // for the snapshot that is due; once is enough
};

// A FIFO or a file where RocksDB has a file or a directory is damage, as wrong bytes are.
absl::Status word_of_disk(const absl::Status& disk) {
  if (!absl::IsDataLoss(disk) && !absl::IsFailedPrecondition(disk)) return disk;
  return absl::DataLossError(
      fmt::format("{}; restore the checkpoint from a backup", std::string(disk.message())));
}

// The disk's own word goes before RocksDB's: it rewords a refused read of a file into corruption.
absl::Status RocksCountStore::status_of(const rocksdb::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  if (absl::Status disk = file_system_->first_disk_error(); !disk.ok()) {
    return word_of_disk(disk);
  }
  const std::string message = fmt::format("{}: {}", path_, words_of(status));
  const bool missing = status.IsPathNotFound() || status.IsNotFound();
  if (status.IsCorruption() || missing || status.IsInvalidArgument() || status.IsNotSupported()) {
    return absl::DataLossError(message + "; restore the checkpoint from a backup");
  }
  return status.IsIOError() ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

absl::Status RocksCountStore::open() {
  if (absl::Status s = check_logs(disk_, path_); !s.ok()) return word_of_disk(s);
  rocksdb::DB* db = nullptr;
  rocksdb::Status opened;
  if (mode_ == OpenMode::kReadOnly) {
    rocks_.max_file_opening_threads = 1;  // sixteen would be started, beside a job at work
    opened = rocksdb::DB::OpenForReadOnly(rocks_, path_, &db, /*error_if_wal_file_exists=*/false);
  } else {
    if (absl::Status status = sweep_staged_files(); !status.ok()) return status;
    rocks_.create_if_missing = mode_ == OpenMode::kCreate;
    rocks_.error_if_exists = mode_ == OpenMode::kCreate;
    opened = rocksdb::DB::Open(rocks_, path_, &db);
  }
  db_.reset(db);
  if (!opened.ok()) return status_of(opened);
  // RocksDB passes over some errors while it opens. What the disk did not let it see, it has not
  // seen.
  const absl::Status disk = file_system_->first_disk_error();
  const bool refused = absl::IsResourceExhausted(disk) || absl::IsPermissionDenied(disk);
  return refused ? disk : absl::OkStatus();
}

// A crash between building a sorted file and ingesting it leaves the file; nobody refers to it.
absl::Status RocksCountStore::sweep_staged_files() {
  auto names = disk_.list(path_);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!name.ends_with(kStagedSuffix)) continue;
    if (absl::Status status = disk_.remove(path_ + "/" + name); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RocksCountStore::commit(const StateCommit& commit) {
  if (mode_ == OpenMode::kReadOnly) return absl::InternalError("commit to a read-only state");
  if (!failed_.ok()) return failed_;
  if (commit.record.empty() && !commit.first_counts) {
    return absl::InternalError("a commit of counts without the record that they belong to");
  }
  rocksdb::Status done = wait_for_level0();
  if (done.ok()) done = is_large(commit) ? ingest(commit) : log(commit);
  failed_ = status_of(done);
  return failed_;
}

bool RocksCountStore::is_large(const StateCommit& commit) const {
  if (commit.first_counts) return true;  // puts are in files alone, where a second one is seen
  if (commit.changed.size() + commit.dead_letters.size() > options_.ingest_above_users) return true;
  std::int64_t bytes = 0;
  for (const DeadLetter& letter : commit.dead_letters) bytes += letter.bytes();
  return bytes > options_.ingest_above_bytes;
}

rocksdb::Status RocksCountStore::wait_for_level0() {
  return watch_->wait_until([this] {
    return number_of(rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0") <
           static_cast<std::uint64_t>(options_.most_level0_files);
  });
}

std::uint64_t RocksCountStore::number_of(const std::string& property) const {
  std::uint64_t number = 0;
  db_->GetIntProperty(property, &number);
  return number;
}

// All of a commit, in the order of its keys, which a table file needs.
template <typename Writer>
rocksdb::Status write_commit(Writer& writer, const StateCommit& commit) {
  rocksdb::Status status;
  const Slice record = slice_of(commit.record);
  if (commit.batch != kNoBatch && !record.empty()) {
    status = writer.Put(history_key(commit.batch), record);
  }
  for (const DeadLetter& letter : commit.forgotten) {  // not deleted: a log holds no deletions (I5)
    if (status.ok()) status = writer.Put(dead_letter_key(letter.partition, letter.offset), "");
  }
  for (const DeadLetter& letter : commit.dead_letters) {
    if (!status.ok()) break;
    status =
        writer.Put(dead_letter_key(letter.partition, letter.offset), dead_letter_value(letter));
  }
  if (status.ok() && !record.empty()) status = writer.Put(slice_of(kCommitKey), record);
  std::array<char, CountValue::kSize> value{};
  for (const UserClicks& row : commit.changed) {
    if (!status.ok()) break;
    CountValue{row.clicks, commit.batch}.write_to(value.data());
    const StateKey key(row.user);
    const Slice count(value.data(), value.size());
    status = commit.first_counts ? writer.Put(slice_of(key.bytes()), count)
                                 : writer.Merge(slice_of(key.bytes()), count);
  }
  return status;
}

rocksdb::Status RocksCountStore::log(const StateCommit& commit) {
  rocksdb::WriteBatch writes;
  const rocksdb::Status written = write_commit(writes, commit);
  if (!written.ok()) return written;
  rocksdb::WriteOptions synced;
  synced.sync = true;
  reached(CrashPoint::kLogWriteDue);
  return db_->Write(synced, &writes);
}

rocksdb::Status RocksCountStore::ingest(const StateCommit& commit) {
  const std::string staged = fmt::format("{}/{}{}", path_, commit.batch, kStagedSuffix);
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), rocks_);
  rocksdb::Status status = writer.Open(staged);
  if (status.ok()) status = write_commit(writer, commit);
  if (status.ok()) status = writer.Finish();
  if (!status.ok()) return status;
  reached(CrashPoint::kTableBuilt);
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.failed_move_fall_back_to_copy = false;
  options.write_global_seqno = false;  // the file stays as it was synced
  return db_->IngestExternalFile({staged}, options);
}

absl::StatusOr<std::string> RocksCountStore::value_of(std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), slice_of(key), &value);
  if (status.IsNotFound()) return absl::NotFoundError(path_ + ": holds no commit record");
  if (!status.ok()) return status_of(status);
  return value;
}

absl::StatusOr<std::optional<std::string>> RocksCountStore::history(BatchId batch) const {
  auto value = value_of(history_key(batch));
  if (absl::IsNotFound(value.status())) return std::nullopt;
  if (!value.ok()) return value.status();
  return std::move(*value);
}

absl::StatusOr<bool> RocksCountStore::shorten_log() {
  if (number_of(rocksdb::DB::Properties::kNumImmutableMemTable) > 0) {
    const absl::Status failed = status_of(watch_->error());
    if (!failed.ok()) return failed;  // it would never be written
    return false;
  }
  const std::uint64_t rows = number_of(rocksdb::DB::Properties::kNumEntriesActiveMemTable);
  const std::uint64_t few = std::max(
      options_.most_logged_rows, number_of(rocksdb::DB::Properties::kLiveSstFilesSize) / 10'000);
  if (log_is_shortened_ || rows <= few) return true;
  log_is_shortened_ = true;
  rocksdb::FlushOptions beside;
  beside.wait = false;
  beside.allow_write_stall = true;  // there is none: the memtable before is written
  if (absl::Status s = status_of(db_->Flush(beside)); !s.ok()) return s;
  return false;
}

// The log is copied up to the last commit. Writing it out here would hold the next trigger.
absl::Status RocksCountStore::snapshot_to(const std::string& path) {
  log_is_shortened_ = false;
  rocksdb::Checkpoint* maker = nullptr;
  if (absl::Status s = status_of(rocksdb::Checkpoint::Create(db_.get(), &maker)); !s.ok()) return s;
  const std::unique_ptr<rocksdb::Checkpoint> owned(maker);
  return status_of(maker->CreateCheckpoint(path, std::numeric_limits<std::uint64_t>::max()));
}

std::vector<TableFile> RocksCountStore::table_files() const {
  std::vector<rocksdb::LiveFileMetaData> live;
  db_->GetLiveFilesMetaData(&live);
  std::vector<TableFile> files;
  for (const auto& file : live) {
    files.push_back({file.name.substr(file.name.find_first_not_of('/')), file.size});
  }
  return files;
}

// Of the file that RocksDB has open: its name may be gone by now, or another's.
absl::StatusOr<std::unique_ptr<TableRows>> RocksCountStore::rows_of(
    const std::string& path, const rocksdb::TableProperties& properties) const {
  auto table = file_system_->open_table(path);
  if (!table) return absl::InternalError(path + ": RocksDB has not opened it");
  return TableRows::open(path, *std::move(table), properties);
}

absl::StatusOr<const SettledCounts*> RocksCountStore::settled_counts() const {
  const std::lock_guard lock(settled_mutex_);
  if (settled_) return settled_.get();
  rocksdb::TablePropertiesCollection tables;
  if (absl::Status s = status_of(db_->GetPropertiesOfAllTables(&tables)); !s.ok()) return s;
  std::vector<std::unique_ptr<TableRows>> files;
  for (const auto& [path, properties] : tables) {
    auto file = rows_of(path, *properties);
    if (!file.ok()) return file.status();
    files.push_back(std::move(*file));
  }
  std::vector<UserCount> logged;
  const absl::Status read =
      status_of(scan_log(*db_, [&](const UserCount& row) { logged.push_back(row); }));
  if (!read.ok()) return read;
  auto counts = SettledCounts::make(std::move(files), std::move(logged));
  if (!counts.ok()) return counts.status();
  settled_ = std::move(*counts);
  return settled_.get();
}

// I4 of one file: what it says of itself, by which every start adds up the files, is what its rows
// are.
absl::Status RocksCountStore::scan_table_file(const std::string& name, const ScanPace& pace) const {
  const std::string path = path_ + "/" + name;
  rocksdb::SstFileReader reader(rocks_);
  if (absl::Status s = status_of(reader.Open(path)); !s.ok()) return s;
  const auto properties = reader.GetTableProperties();
  auto rows = rows_of(path, *properties);
  if (!rows.ok()) return rows.status();
  auto found = digest_of_rows(**rows, pace);
  if (!found.ok()) return found.status();
  if (digest_property(*properties) == *found) return absl::OkStatus();
  return (*rows)->damaged("its rows do not add up to the digest it carries");
}

absl::StatusOr<Digest> RocksCountStore::sum_of_file_digests() const {
  rocksdb::TablePropertiesCollection files;
  if (absl::Status status = status_of(db_->GetPropertiesOfAllTables(&files)); !status.ok()) {
    return status;
  }
  LogPart log;
  if (absl::Status s = status_of(read_log_part(*db_, &log)); !s.ok()) return s;
  Digest sum = log.digest;
  for (const auto& [name, properties] : files) {
    const auto digest = digest_property(*properties);
    if (!digest) return absl::DataLossError(name + ": carries no digest of its entries");
    sum += *digest;
  }
  return sum;
}

absl::StatusOr<UserBounds> RocksCountStore::user_bounds() const {
  UserBounds bounds;
  if (absl::Status s = status_of(bound_users(*db_, &bounds)); !s.ok()) return s;
  return bounds;
}

}  // namespace

const Statistics& statistics_of(const CountStore& store) {
  return dynamic_cast<const RocksCountStore&>(store);
}

absl::StatusOr<std::unique_ptr<CountStore>> open_count_store(Disk& disk, const std::string& path,
                                                             OpenMode mode,
                                                             const CountStoreOptions& options) {
  auto store = std::make_unique<RocksCountStore>(disk, path, mode, options);
  if (absl::Status status = store->open(); !status.ok()) return status;
  return store;
}

}  // namespace clicktally
