#include "checkpoint/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "base/crash_points.h"
#include "base/text.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/layout.h"
#include "checkpoint/row_sorter.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/state_copies.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

constexpr std::size_t kMostUsersNamed = 1000;
constexpr std::string_view kRunsName = "rows";

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
}

// What the rows add up to, in the order of the users.
class Totals {
 public:
  explicit Totals(const ImportOptions& options) : options_(options) {
    record_.epoch = 1;
    record_.batch = 0;
    record_.time_ms = options.time_ms;
    record_.job = options.job;
    for (const auto& [id, next] : options.next) {
      record_.partitions[id] =
          PartitionRecord{.start = next, .next = next, .last = {}, .counters = {}};
    }
  }
  absl::Status add(std::span<const UserClicks> rows) {
    for (const UserClicks& row : rows) {
      if (row.clicks > std::numeric_limits<std::int64_t>::max() - record_.imported.clicks) {
        return absl::InvalidArgumentError("the clicks of all users add up to more than 2^63 - 1");
      }
      record_.imported.clicks += row.clicks;
      if (row.user == kNullUser) record_.imported.of_null = row.clicks;
      if (record_.changed.first.size() < kMostUsersNamed) {
        record_.changed.first.push_back(row.user);
      }
    }
    record_.changed.in_all += std::ssize(rows);
    record_.digest += digest_of(rows);
    return absl::OkStatus();
  }
  CommitRecord record() const {
    CommitRecord record = record_;
    note_adjustment(options_.time_ms, options_.command, std::nullopt, &record);
    return record;
  }

 private:
  const ImportOptions& options_;
  CommitRecord record_;
};

absl::Status read_all(const RowReader& rows, RowSorter* sorter) {
  while (true) {
    auto row = rows();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (absl::Status s = sorter->add(**row); !s.ok()) return s;
  }
}

// The directory in which the checkpoint is made; removed again unless it became one.
class Staging {
 public:
  Staging(Disk& disk, const CheckpointLayout& wanted)
      : disk_(disk), wanted_(wanted), layout_(wanted.root() + ".importing") {}
  ~Staging() {
    if (lock_) remove_tree(disk_, layout_.root()).IgnoreError();  // the next import removes it
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const CheckpointLayout& layout() const { return layout_; }
  std::string runs() const { return fmt::format("{}/{}", layout_.root(), kRunsName); }

  // Emptied of what an import left that was cut short.
  absl::Status make() {
    const absl::Status made = disk_.create_dir(layout_.root());
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    auto lock = disk_.lock_dir(layout_.root(), Disk::LockMode::kExclusive, nullptr);
    if (!lock.ok()) return lock.status();
    auto names = disk_.list(layout_.root());
    if (!names.ok()) return names.status();
    static const std::set<std::string, std::less<>> kOurs{
        "live", "snapshots", "SHOWN", "SHOWN.tmp", "job.json", "job.json.tmp", kRunsName.data()};
    for (const std::string& name : *names) {
      if (kOurs.contains(name)) continue;
      return absl::FailedPreconditionError(
          fmt::format("{}: holds {}, which no import made, but is where the import is made; move "
                      "that directory away",
                      layout_.root(), escape_controls(name)));
    }
    lock_ = *std::move(lock);
    for (const std::string& name : *names) {
      const std::string path = layout_.root() + "/" + name;
      auto info = disk_.stat(path);
      if (!info.ok()) return info.status();
      const absl::Status gone = info->is_directory ? remove_tree(disk_, path) : disk_.remove(path);
      if (!gone.ok()) return gone;
    }
    return disk_.create_dir(runs());
  }

  // The one step that makes the checkpoint.
  absl::Status take_place() {
    const std::string& root = wanted_.root();
    if (absl::Status s = disk_.rename(layout_.root(), root); !s.ok()) return s;
    lock_.reset();
    return disk_.sync_dir(parent_of(root));
  }

 private:
  Disk& disk_;
  const CheckpointLayout wanted_;
  const CheckpointLayout layout_;
  std::unique_ptr<DiskLock> lock_;
};

absl::StatusOr<CommitRecord> write_state(Disk& disk, const std::string& path,
                                         const StoreOpener& open_state, RowSorter* sorter,
                                         const ImportOptions& options) {
  auto store = open_state(disk, path, OpenMode::kCreate);
  if (!store.ok()) return store.status();
  Totals totals(options);
  const absl::Status merged = sorter->merge([&](std::span<const UserClicks> rows) {
    if (absl::Status s = totals.add(rows); !s.ok()) return s;
    return (*store)->commit({.batch = 0, .changed = rows, .first_counts = true});
  });
  if (!merged.ok()) return merged;
  const CommitRecord record = totals.record();
  const std::string bytes = encode_commit_record(record);
  if (absl::Status s = (*store)->commit({.batch = 0, .record = bytes}); !s.ok()) return s;
  return record;
}

absl::Status read_back(Disk& disk, const std::string& path, const StoreOpener& open_state,
                       const CommitRecord& wanted) {
  auto store = open_state(disk, path, OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto record = read_store_whole(**store);
  if (!record.ok()) return record.status();
  if (*record != wanted) {
    return absl::DataLossError(path + ": does not hold what was written; mend that disk");
  }
  return check_rows(**store, wanted);
}

absl::Status add_snapshot(Disk& disk, const CheckpointLayout& layout, const StoreOpener& open_state,
                          const CommitRecord& record) {
  if (absl::Status s = disk.create_dir(layout.snapshots()); !s.ok()) return s;
  const std::string path = layout.snapshot(record.batch);
  if (absl::Status s = copy_state(disk, layout.live(), path); !s.ok()) return s;
  auto copied = verify_copy(disk, path, open_state);
  if (!copied.ok()) return copied.status();
  if (absl::Status s = mark_snapshot(disk, layout, record.batch, CheckpointLayout::kScannedName);
      !s.ok()) {
    return s;
  }
  return disk.sync_dir(layout.snapshots());
}

}  // namespace

absl::Status may_import_to(Disk& disk, const std::string& checkpoint) {
  const CheckpointLayout wanted(checkpoint);
  auto kind = checkpoint_kind(disk, wanted);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kAbsent) {
    return absl::FailedPreconditionError(checkpoint + ": not empty; name an empty or a new one");
  }
  if (disk.stat(parent_of(wanted.root())).ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: there is no such directory; make it first", parent_of(wanted.root())));
}

absl::StatusOr<CommitRecord> check_import(Disk& disk, const std::string& folder,
                                          const RowReader& rows, const ImportOptions& options) {
  RowSorter sorter(disk, folder, options.rows_in_memory);
  if (absl::Status s = read_all(rows, &sorter); !s.ok()) return s;
  Totals totals(options);
  const absl::Status merged =
      sorter.merge([&](std::span<const UserClicks> some) { return totals.add(some); });
  if (!merged.ok()) return merged;
  return totals.record();
}

absl::StatusOr<CommitRecord> import_checkpoint(Disk& disk, const std::string& checkpoint,
                                               const StoreOpener& open_state, const RowReader& rows,
                                               const ImportOptions& options) {
  const CheckpointLayout wanted(checkpoint);
  if (absl::Status s = may_import_to(disk, checkpoint); !s.ok()) return s;
  Staging staging(disk, wanted);
  if (absl::Status s = staging.make(); !s.ok()) return s;
  const CheckpointLayout& layout = staging.layout();
  RowSorter sorter(disk, staging.runs(), options.rows_in_memory);
  if (absl::Status s = read_all(rows, &sorter); !s.ok()) return s;
  auto record = write_state(disk, layout.live(), open_state, &sorter, options);
  if (!record.ok()) return record;
  reached(CrashPoint::kImportCounted);
  if (absl::Status s = remove_tree(disk, staging.runs()); !s.ok()) return s;
  if (absl::Status s = read_back(disk, layout.live(), open_state, *record); !s.ok()) return s;
  if (absl::Status s = add_snapshot(disk, layout, open_state, *record); !s.ok()) return s;
  reached(CrashPoint::kImportSnapshot);
  if (absl::Status s = announce_epoch(disk, layout, record->epoch); !s.ok()) return s;
  const absl::Status whole =
      publish_file(disk, layout.root(), CheckpointLayout::kJobName, job_file_text());
  if (!whole.ok()) return whole;
  reached(CrashPoint::kImportWhole);
  if (absl::Status s = staging.take_place(); !s.ok()) return s;
  reached(CrashPoint::kImportEnded);
  return record;
}

}  // namespace clicktally
