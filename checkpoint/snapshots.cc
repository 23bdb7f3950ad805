#include "checkpoint/snapshots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/crash_points.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/verification.h"

namespace clicktally {
namespace {

constexpr std::string_view kGone = ".gone";
constexpr const char* kPin = CheckpointLayout::kPinnedName;
constexpr std::size_t kLongestPinName = 64;

bool is_leftover(const std::string& name) {
  return name == CheckpointLayout::kNewSnapshotName || name.ends_with(".tmp") ||
         name.ends_with(kGone) || name.ends_with(CheckpointLayout::kRepairedSuffix);
}

// Whether a directory with these names in it holds a state, however damaged.
bool looks_like_a_store(const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [](std::string_view name) {
    return name == "CURRENT" || name.starts_with("MANIFEST-") || name.ends_with(".sst");
  });
}

// A name alone proves nothing: what never was a snapshot is passed over, and said once, at a start.
void warn_of_stranger(Disk& disk, const CheckpointLayout& layout, const std::string& name) {
  BatchId batch = kNoBatch;
  if (!absl::SimpleAtoi(name, &batch)) return;
  const std::string path = layout.snapshots() + "/" + name;
  const auto files = disk.list(path);
  if (!files.ok() || looks_like_a_store(*files)) return;
  log_warning("{}: has the name of a snapshot, and nothing of one in it; move it away",
              escape_controls(path));
}

// Renamed first: a snapshot is there whole or it is not there.
absl::Status remove_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch) {
  const std::string path = layout.snapshot(batch);
  const std::string gone = path + std::string(kGone);
  auto lock = disk.lock_dir(path, Disk::LockMode::kExclusive, nullptr);
  if (absl::IsAlreadyExists(lock.status())) {
    log_debug("snapshot {} is being read, and kept for now", batch);
    return absl::OkStatus();
  }
  if (!lock.ok()) return lock.status();
  // Pinned since the list was read, before the lock was taken.
  if (exists(disk, path + "/" + CheckpointLayout::kPinnedName)) return absl::OkStatus();
  reached(CrashPoint::kPruneDue);
  if (absl::Status s = disk.rename(path, gone); !s.ok()) return s;
  reached(CrashPoint::kPruneNamed);
  if (absl::Status s = disk.sync_dir(layout.snapshots()); !s.ok()) return s;
  reached(CrashPoint::kPruneSynced);
  return remove_tree(disk, gone);
}

// Its shared lock: nobody removes it meanwhile.
absl::StatusOr<std::unique_ptr<DiskLock>> hold_snapshot(Disk& disk, const CheckpointLayout& layout,
                                                        BatchId batch) {
  const std::string path = layout.snapshot(batch);
  if (absl::Status s = check_no_link(disk, path); !s.ok()) return s;
  auto lock = disk.lock_dir(path, Disk::LockMode::kShared, nullptr);
  const bool is_going = absl::IsAlreadyExists(lock.status()) || absl::IsNotFound(lock.status());
  if (is_going || (lock.ok() && !exists(disk, path))) {
    auto there = list_snapshots(disk, layout);
    if (!there.ok()) return there.status();
    return no_such_snapshot(layout, batch, *there);
  }
  return lock;
}

}  // namespace

absl::Status no_such_snapshot(const CheckpointLayout& layout, BatchId batch,
                              const std::vector<SnapshotName>& there) {
  std::vector<BatchId> batches;
  for (const SnapshotName& name : there) batches.push_back(name.batch);
  return absl::FailedPreconditionError(
      fmt::format("{}: there is no snapshot of batch {}; there is {}", layout.root(), batch,
                  batches.empty() ? "none at all" : fmt::format("{}", fmt::join(batches, ", "))));
}

absl::StatusOr<std::vector<SnapshotName>> list_snapshots(Disk& disk,
                                                         const CheckpointLayout& layout) {
  auto names = disk.list(layout.snapshots());
  if (absl::IsNotFound(names.status())) return std::vector<SnapshotName>();
  if (!names.ok()) return names.status();
  std::vector<SnapshotName> found;
  for (const std::string& name : *names) {
    BatchId batch = kNoBatch;
    if (!absl::SimpleAtoi(name, &batch) || batch < 0 || name != std::to_string(batch)) continue;
    const std::string path = layout.snapshot(batch);
    if (absl::Status s = check_no_link(disk, path); !s.ok()) return s;
    const auto files = disk.list(path);
    if (absl::IsNotFound(files.status())) continue;  // removed just now
    if (!files.ok()) return files.status();
    if (!looks_like_a_store(*files)) continue;
    const auto has = [&](std::string_view mark) { return std::ranges::count(*files, mark) > 0; };
    found.push_back({.batch = batch,
                     .scanned = has(CheckpointLayout::kScannedName),
                     .pinned = has(CheckpointLayout::kPinnedName)});
  }
  std::ranges::sort(found, {}, &SnapshotName::batch);
  return found;
}

absl::StatusOr<BatchId> newest_snapshot(Disk& disk, const CheckpointLayout& layout) {
  auto snapshots = list_snapshots(disk, layout);
  if (!snapshots.ok()) return snapshots.status();
  return snapshots->empty() ? kNoBatch : snapshots->back().batch;
}

absl::StatusOr<SnapshotReader> open_snapshot(Disk& disk, const CheckpointLayout& layout,
                                             BatchId batch, const StoreOpener& open_state) {
  const std::string path = layout.snapshot(batch);
  if (absl::Status s = check_no_link(disk, path); !s.ok()) return s;
  const absl::Status gone = absl::NotFoundError(path + ": there is no such snapshot any more");
  auto lock = disk.lock_dir(path, Disk::LockMode::kShared, nullptr);
  if (absl::IsAlreadyExists(lock.status())) return gone;  // about to be removed
  if (!lock.ok()) return lock.status();
  if (!exists(disk, path)) return gone;  // it was, between its opening and its locking
  auto store = open_state(disk, path, OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto record = verify_record(**store);
  if (!record.ok()) return record.status();
  if (record->batch != batch) {
    return absl::DataLossError(fmt::format("{}: holds batch {}", path, record->batch));
  }
  return SnapshotReader{*std::move(lock), *std::move(record), *std::move(store)};
}

absl::Status prepare_snapshots(Disk& disk, const CheckpointLayout& layout) {
  for (const std::string& leftover : {layout.live_next(), layout.live_repaired()}) {
    if (absl::Status s = remove_tree(disk, leftover); !s.ok()) return s;
  }
  auto names = disk.list(layout.snapshots());
  if (absl::IsNotFound(names.status())) {
    if (absl::Status s = disk.create_dir(layout.snapshots()); !s.ok()) return s;
    return disk.sync_dir(layout.root());
  }
  if (!names.ok()) return names.status();
  // A run that was killed leaves names that are there and not durable yet. Were the power lost now,
  // one of ours could go again, and a snapshot that is removed here come back with half its files.
  for (const std::string& path : {layout.root(), layout.snapshots()}) {
    if (absl::Status s = disk.sync_dir(path); !s.ok()) return s;
  }
  for (const std::string& name : *names) {
    if (!is_leftover(name)) {
      warn_of_stranger(disk, layout, name);
      continue;
    }
    if (absl::Status s = remove_tree(disk, layout.snapshots() + "/" + name); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status publish_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch) {
  const absl::Status named = disk.rename(layout.new_snapshot(), layout.snapshot(batch));
  if (absl::IsAlreadyExists(named)) {
    return absl::FailedPreconditionError(
        layout.snapshot(batch) +
        ": stands where a snapshot is to be made, and is none; move it away and start again");
  }
  reached(CrashPoint::kSnapshotNamed);
  return named.ok() ? disk.sync_dir(layout.snapshots()) : named;
}

absl::Status prune_snapshots(Disk& disk, const CheckpointLayout& layout, int retain) {
  auto snapshots = list_snapshots(disk, layout);
  if (!snapshots.ok()) return snapshots.status();
  const auto kept = static_cast<std::size_t>(std::max(1, retain));
  if (snapshots->size() <= kept) return absl::OkStatus();
  snapshots->resize(snapshots->size() - kept);
  for (const SnapshotName& snapshot : *snapshots) {
    if (snapshot.pinned) continue;
    if (absl::Status s = remove_snapshot(disk, layout, snapshot.batch); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status mark_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                           std::string_view mark) {
  auto file =
      disk.open_append(fmt::format("{}/{}", layout.snapshot(batch), mark), Disk::Create::kKeep);
  return file.ok() ? (*file)->close() : file.status();
}

absl::StatusOr<std::string> pin_name(Disk& disk, const CheckpointLayout& layout, BatchId batch) {
  auto text = read_file(disk, fmt::format("{}/{}", layout.snapshot(batch), kPin), 4096);
  if (!text.ok()) return text.status();
  return one_line(*text);
}

absl::Status check_pin_name(std::string_view name) {
  const bool fits = name.size() <= kLongestPinName && std::ranges::all_of(name, [](char c) {
                      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                             c == '_' || c == '-';
                    });
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("'{}' is no name for a pin: letters, digits, '.', '_' and '-', at most {}",
                  escape_controls(name), kLongestPinName));
}

absl::Status pin_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                          const std::string& name, bool dry) {
  auto lock = hold_snapshot(disk, layout, batch);
  if (!lock.ok() || dry) return lock.status();
  return publish_file(disk, layout.snapshot(batch), kPin, name.empty() ? "" : name + "\n");
}

absl::Status unpin_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch, bool dry) {
  auto lock = hold_snapshot(disk, layout, batch);
  if (!lock.ok()) return lock.status();
  const std::string mark = fmt::format("{}/{}", layout.snapshot(batch), kPin);
  if (!exists(disk, mark)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: snapshot {} is not pinned", layout.root(), batch));
  }
  if (dry) return absl::OkStatus();
  if (absl::Status s = disk.remove(mark); !s.ok()) return s;
  return disk.sync_dir(layout.snapshot(batch));
}

absl::Status scan_files(const CountStore& store, const ScanPace& pace,
                        const std::function<bool(const TableFile&)>& is_known,
                        const std::function<void(const TableFile&)>& found_whole) {
  for (const TableFile& file : store.table_files()) {
    if (is_known(file)) continue;
    if (!pace(0)) return absl::CancelledError(file.name + ": not read");
    if (absl::Status s = store.scan_table_file(file.name, pace); !s.ok()) return s;
    found_whole(file);
  }
  return absl::OkStatus();
}

}  // namespace clicktally
