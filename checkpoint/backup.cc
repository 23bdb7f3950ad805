#include "checkpoint/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <tuple>

#include "base/crash_points.h"
#include "base/text.h"
#include "checkpoint/fallback.h"
#include "checkpoint/layout.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/state_copies.h"

namespace clicktally {
namespace {

constexpr std::size_t kCompareAtOnce = 1 << 20;

struct BackupName {
  std::int64_t epoch = 0;
  BatchId batch = kNoBatch;
  std::string text() const { return fmt::format("{}-{}", epoch, batch); }
  friend auto operator<=>(const BackupName&, const BackupName&) = default;
};

// Oldest first. kFailedPrecondition if anything but backups is there.
absl::StatusOr<std::vector<BackupName>> list_backups(Disk& disk, const std::string& dest) {
  auto names = disk.list(dest);
  if (!names.ok()) return names.status();
  std::vector<BackupName> found;
  for (const std::string& name : *names) {
    if (name == "new" || name == "lost+found") continue;
    BackupName backup;
    const int fields = std::sscanf(name.c_str(), "%ld-%ld", &backup.epoch, &backup.batch);
    if (fields != 2 || backup.text() != name) {
      return absl::FailedPreconditionError(
          fmt::format("{}: holds {}, which is no backup; name an empty or a new directory", dest,
                      escape_controls(name)));
    }
    found.push_back(backup);
  }
  std::ranges::sort(found);
  return found;
}

absl::StatusOr<bool> same_bytes(Disk& disk, const std::string& left, const std::string& right) {
  auto left_info = disk.stat(left);
  auto right_info = disk.stat(right);
  if (!left_info.ok() || !right_info.ok()) return false;
  if (left_info->size_bytes != right_info->size_bytes) return false;
  auto left_file = disk.open_random(left);
  auto right_file = disk.open_random(right);
  if (!left_file.ok()) return left_file.status();
  if (!right_file.ok()) return right_file.status();
  std::string one(kCompareAtOnce, '\0');
  std::string other(kCompareAtOnce, '\0');
  for (std::uint64_t at = 0; at < left_info->size_bytes; at += kCompareAtOnce) {
    auto got = (*left_file)->read_at(at, one.size(), one.data());
    auto also = (*right_file)->read_at(at, other.size(), other.data());
    if (!got.ok()) return got.status();
    if (!also.ok()) return also.status();
    if (std::string_view(one.data(), *got) != std::string_view(other.data(), *also)) return false;
  }
  return true;
}

absl::StatusOr<CommitRecord> read_whole(Disk& disk, const std::string& path,
                                        const StoreOpener& open_state) {
  auto store = open_state(disk, path, OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  return read_store_whole(**store);
}

absl::StatusOr<SnapshotReader> open_newest(Disk& disk, const CheckpointLayout& layout,
                                           const StoreOpener& open_state) {
  for (int attempt = 0; attempt < 10; ++attempt) {  // it may be removed just now, for a newer one
    auto newest = newest_snapshot(disk, layout);
    if (!newest.ok()) return newest.status();
    if (*newest == kNoBatch) break;
    auto snapshot = open_snapshot(disk, layout, *newest, open_state);
    if (!absl::IsNotFound(snapshot.status())) return snapshot;
  }
  return absl::FailedPreconditionError(
      layout.root() + ": there is no snapshot; let the job make one: kill -USR1 PID");
}

struct FilesToCopy {
  std::vector<std::string> names;
  std::set<std::string> reused;  // those that `before` has, byte for byte
};

// What a copy of `from` takes, where `before`, if there is one, has some of it already.
absl::StatusOr<FilesToCopy> files_to_copy(Disk& disk, const std::string& from,
                                          const std::string& before, BackupResult* result) {
  auto names = disk.list(from);
  if (!names.ok()) return names.status();
  std::erase_if(*names, is_mark);
  FilesToCopy files{.names = *std::move(names), .reused = {}};
  for (const std::string& name : files.names) {
    const std::string source = from + "/" + name;
    bool had = false;
    if (!before.empty() && name.ends_with(".sst")) {
      auto same = same_bytes(disk, source, before + "/" + name);
      if (!same.ok()) return same.status();
      had = *same;
    }
    if (had) files.reused.insert(name);
    auto info = disk.stat(source);
    if (info.ok()) (had ? result->reused_bytes : result->copied_bytes) += info->size_bytes;
  }
  return files;
}

absl::Status copy_or_reuse(Disk& disk, const FilesToCopy& files, const std::string& from,
                           const std::string& to, const std::string& before) {
  if (absl::Status s = disk.create_dir(to); !s.ok()) return s;
  for (const std::string& name : files.names) {
    const std::string target = to + "/" + name;
    const absl::Status done = files.reused.contains(name)
                                  ? disk.link(before + "/" + name, target)
                                  : copy_file(disk, from + "/" + name, target);
    if (!done.ok()) return done;
  }
  return disk.sync_dir(to);
}

// Whether `next` goes on from what `kept` holds: the same job, and no partition behind. A
// checkpoint that fell back may do so later.
absl::Status check_succession(const std::string& kept_path, const CommitRecord& kept,
                              const CommitRecord& next) {
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {}; name another directory, or remove this backup", kept_path, why));
  };
  if (kept.job != next.job) {
    return refuse(fmt::format("a backup of another job, topic '{}' of cluster '{}'",
                              escape_controls(kept.job.topic),
                              escape_controls(kept.job.cluster_id)));
  }
  for (const auto& [id, partition] : kept.partitions) {
    const auto found = next.partitions.find(id);
    if (found == next.partitions.end() || found->second.start != partition.start) {
      return refuse(fmt::format(
          "a backup of another checkpoint, which began with other offsets in partition {}", id));
    }
    if (found->second.next < partition.next) {
      return refuse(fmt::format(
          "holds batch {} of epoch {}, up to offset {} of partition {}, later than the snapshot of "
          "batch {} of epoch {}, up to offset {}",
          kept.batch, kept.epoch, partition.next, id, next.batch, next.epoch, found->second.next));
    }
  }
  const bool older = std::tie(next.epoch, next.batch) < std::tie(kept.epoch, kept.batch);
  const bool same = next.epoch == kept.epoch && next.batch == kept.batch;
  if (older || (same && next.digest != kept.digest)) {
    return refuse(
        fmt::format("holds batch {} of epoch {}, which the snapshot of batch {} of epoch "
                    "{} does not come from",
                    kept.batch, kept.epoch, next.batch, next.epoch));
  }
  return absl::OkStatus();
}

// The record of the backup that is there. One that does not open cannot say whose it is.
absl::StatusOr<CommitRecord> record_of(Disk& disk, const std::string& path,
                                       const StoreOpener& open_state) {
  auto record = verify_copy(disk, path, open_state);
  const absl::Status damage = record.status();
  if (!absl::IsDataLoss(damage) && !absl::IsNotFound(damage)) return record;
  return absl::DataLossError(fmt::format(
      "{}: this backup is damaged, so whose it is cannot be told: {}; if it is of this job, remove "
      "it and back up again",
      path, words_of(damage)));
}

struct Backups {
  std::unique_ptr<DiskLock> lock;
  std::vector<BackupName> names;  // oldest first
};

// What is in `dest`, for this process alone; for a dry run it need not be there.
absl::StatusOr<Backups> claim_backups(Disk& disk, const std::string& dest, ChangeMode mode) {
  Backups backups;
  if (mode == ChangeMode::kDryRun && absl::IsNotFound(disk.stat(dest).status())) return backups;
  if (absl::Status s = make_directories(disk, dest); !s.ok()) return s;
  std::optional<Disk::LockMode> holder;
  auto lock = disk.lock_dir(dest, Disk::LockMode::kExclusive, &holder);
  if (!lock.ok()) return lock.status();
  backups.lock = *std::move(lock);
  auto names = list_backups(disk, dest);
  if (!names.ok()) return names.status();
  backups.names = *std::move(names);
  return backups;
}

// What was there before goes, and what a run left that was killed. That run may not have synced the
// name of the one that stays.
absl::StatusOr<BackupResult> keep_only(Disk& disk, const std::string& dest, const BackupName& kept,
                                       const Backups& before, const BackupResult& result) {
  if (absl::Status s = disk.sync_dir(dest); !s.ok()) return s;
  if (absl::Status s = remove_tree(disk, dest + "/new"); !s.ok()) return s;
  for (const BackupName& name : before.names) {
    if (name == kept) continue;
    if (absl::Status s = remove_tree(disk, dest + "/" + name.text()); !s.ok()) return s;
  }
  return result;
}

}  // namespace

absl::StatusOr<BackupResult> back_up(Disk& disk, const std::string& checkpoint,
                                     const std::string& dest, const StoreOpener& open_state,
                                     ChangeMode mode) {
  auto snapshot = open_newest(disk, CheckpointLayout(checkpoint), open_state);
  if (!snapshot.ok()) return snapshot.status();
  auto before = claim_backups(disk, dest, mode);
  if (!before.ok()) return before.status();

  BackupResult result{.record = snapshot->record};
  const BackupName name{snapshot->record.epoch, snapshot->record.batch};
  const std::string kept = before->names.empty() ? "" : dest + "/" + before->names.back().text();
  if (!kept.empty()) {
    auto record = record_of(disk, kept, open_state);
    if (!record.ok()) return record.status();
    if (absl::Status s = check_succession(kept, *record, snapshot->record); !s.ok()) return s;
    const bool is_there = before->names.back() == name;
    if (is_there && mode == ChangeMode::kDryRun) return result;
    if (is_there) return keep_only(disk, dest, name, *before, result);
  }
  const std::string from = CheckpointLayout(checkpoint).snapshot(name.batch);
  auto files = files_to_copy(disk, from, kept, &result);
  if (!files.ok()) return files.status();
  if (mode == ChangeMode::kDryRun) return result;

  const std::string staged = dest + "/new";
  if (absl::Status s = remove_tree(disk, staged); !s.ok()) return s;
  if (absl::Status s = copy_or_reuse(disk, *files, from, staged, kept); !s.ok()) return s;
  reached(CrashPoint::kBackupCopied);
  auto read = read_whole(disk, staged, open_state);
  if (!read.ok()) return read.status();
  if (*read != snapshot->record) {
    return absl::DataLossError(staged + ": does not hold what was copied; mend that disk");
  }
  if (absl::Status s = disk.rename(staged, dest + "/" + name.text()); !s.ok()) return s;
  reached(CrashPoint::kBackupNamed);
  return keep_only(disk, dest, name, *before, result);
}

// The order keeps it from ever being taken for a checkpoint half-way: without job.json a directory
// with "restoring" in it is a stranger's, and one whose state has batches is damaged.
absl::StatusOr<CommitRecord> restore_backup(Disk& disk, const std::string& dest,
                                            const std::string& checkpoint,
                                            const StoreOpener& open_state, std::int64_t time_ms,
                                            ChangeMode mode) {
  auto backups = list_backups(disk, dest);
  if (!backups.ok()) return backups.status();
  if (backups->empty()) return absl::FailedPreconditionError(dest + ": there is no backup");
  const std::string backup = dest + "/" + backups->back().text();
  auto record = read_whole(disk, backup, open_state);
  if (!record.ok()) return record;

  const CheckpointLayout layout(checkpoint);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kAbsent) {
    return absl::FailedPreconditionError(checkpoint + ": not empty; name an empty or a new one");
  }
  // The lost machine may have fallen back since, once or more often, and shown batches under the
  // epochs that came next. No checkpoint has had more epochs than the world has had seconds.
  const StateSummary before = summary_of(*record);
  record->epoch = std::max(record->epoch + 1, time_ms / 1000);
  note_adjustment(time_ms, fmt::format("restored from the backup of batch {}", record->batch),
                  before, &*record);
  BackupResult copied;
  auto files = files_to_copy(disk, backup, "", &copied);
  if (!files.ok()) return files.status();
  if (mode == ChangeMode::kDryRun) return record;

  if (absl::Status s = make_directories(disk, layout.root()); !s.ok()) return s;
  std::optional<Disk::LockMode> holder;
  auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kExclusive, &holder);
  if (!lock.ok()) return lock.status();
  const std::string staged = layout.root() + "/restoring";
  if (absl::Status s = copy_or_reuse(disk, *files, backup, staged, ""); !s.ok()) return s;
  reached(CrashPoint::kRestoreCopied);
  if (absl::Status s = commit_record_to(disk, staged, open_state, *record); !s.ok()) return s;
  reached(CrashPoint::kRestoreCommitted);
  if (absl::Status s = disk.rename(staged, layout.live()); !s.ok()) return s;
  reached(CrashPoint::kRestoreNamed);
  if (absl::Status s = announce_epoch(disk, layout, record->epoch); !s.ok()) return s;
  const absl::Status published =
      publish_file(disk, layout.root(), CheckpointLayout::kJobName, job_file_text());
  if (!published.ok()) return published;
  return record;
}

}  // namespace clicktally
