#include "checkpoint/snapshot_keeper.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <utility>

#include "base/crash_points.h"
#include "base/hash.h"
#include "base/last_resort.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/verification.h"

namespace clicktally {
namespace {

constexpr auto kLook = std::chrono::milliseconds(10);
// An idle job wakes up for this only; a scrub takes hours anyhow.
constexpr auto kBetweenScrubs = std::chrono::minutes(10);

}  // namespace

SnapshotKeeper::SnapshotKeeper(Disk& disk, CheckpointLayout layout, SnapshotOptions options,
                               StoreOpener open_state)
    : disk_(disk),
      layout_(std::move(layout)),
      options_(options),
      open_state_(std::move(open_state)) {}

SnapshotKeeper::~SnapshotKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status SnapshotKeeper::begin() {
  if (absl::Status s = prepare_snapshots(disk_, layout_); !s.ok()) return s;
  reached(CrashPoint::kLeftoversSwept);
  auto newest = newest_snapshot(disk_, layout_);
  if (!newest.ok()) return newest.status();
  newest_ = *newest;
  thread_ = std::thread([this] { work(); });
  return absl::OkStatus();
}

absl::StatusOr<bool> SnapshotKeeper::take(CountStore& store, const CommitRecord& last) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.ok()) return failure_;
    if (busy_) {
      hurry_ = true;
      changed_.notify_all();
      return false;
    }
    if (last.batch == kNoBatch || last.batch == newest_) return true;
  }
  auto is_short = store.shorten_log();
  if (!is_short.ok()) return is_short.status();
  if (!*is_short) return false;
  const auto began = std::chrono::steady_clock::now();
  reached(CrashPoint::kSnapshotDue);
  if (absl::Status s = store.snapshot_to(layout_.new_snapshot()); !s.ok()) return s;
  reached(CrashPoint::kSnapshotTaken);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  log_debug("snapshot of batch {} taken in {:.1f} ms", last.batch, took.count());
  const std::lock_guard lock(mutex_);
  taken_ = last;
  busy_ = true;
  changed_.notify_all();
  return true;
}

absl::Status SnapshotKeeper::finish(CountStore& store, const CommitRecord& last,
                                    const std::function<bool()>& may_read) {
  wait_until_idle(may_read);
  auto taken = take(store, last);
  while (taken.ok() && !*taken) {  // until the log is written out
    std::this_thread::sleep_for(kLook);
    taken = take(store, last);
  }
  if (!taken.ok()) return taken.status();
  wait_until_idle(may_read);
  return failure();
}

void SnapshotKeeper::wait_until_idle(const std::function<bool()>& may_read) {
  std::unique_lock lock(mutex_);
  hurry_ = true;
  changed_.notify_all();
  // A failure, be it of a scrub, ends the thread: what was handed to it meanwhile stays undone.
  while (busy_ && failure_.ok()) {
    lock.unlock();
    const bool enough = !may_read();
    lock.lock();
    give_up_ = enough;
    changed_.wait_for(lock, kLook);
  }
  give_up_ = false;
}

absl::Status SnapshotKeeper::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool SnapshotKeeper::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// --- The thread ----------------------------------------------------------------------------------

void SnapshotKeeper::work() {
  bool scrub_is_due = false;  // a start has better things to do
  while (true) {
    bool taken = false;
    {
      std::unique_lock lock(mutex_);
      const auto called = [this] { return stopping_ || taken_.has_value(); };
      if (!scrub_is_due) changed_.wait_for(lock, kBetweenScrubs, called);
      if (stopping_ || !failure_.ok()) return;
      taken = taken_.has_value();
    }
    if (taken) {
      keep_taken();
    } else {
      absl::Status done;
      const absl::Status not_thrown = status_of_body([&] { done = scrub(); });
      const std::lock_guard lock(mutex_);
      if (failure_.ok()) failure_ = not_thrown.ok() ? done : not_thrown;
      changed_.notify_all();
    }
    scrub_is_due = taken;
  }
}

void SnapshotKeeper::keep_taken() {
  CommitRecord taken;
  {
    const std::lock_guard lock(mutex_);
    taken = *std::exchange(taken_, std::nullopt);
  }
  absl::Status done;
  const absl::Status not_thrown = status_of_body([&] {
    if (!std::exchange(loaded_, true)) load_scanned();
    done = keep(taken);
  });
  const std::lock_guard lock(mutex_);
  if (failure_.ok()) failure_ = not_thrown.ok() ? done : not_thrown;
  busy_ = hurry_ = false;
  changed_.notify_all();
}

absl::Status SnapshotKeeper::keep(const CommitRecord& taken) {
  if (absl::Status s = verify_and_publish(taken); !s.ok()) return s;
  return read_back(taken.batch);
}

absl::Status SnapshotKeeper::verify_and_publish(const CommitRecord& expected) {
  BatchId batch = kNoBatch;
  {
    auto store = open_state_(disk_, layout_.new_snapshot(), OpenMode::kReadOnly);
    if (!store.ok()) return store.status();
    auto record = verify_record(**store);
    if (!record.ok()) return record.status();
    if (*record != expected) {
      return absl::DataLossError(
          fmt::format("{}: holds batch {} with digest {}, batch {} with digest {} was committed",
                      layout_.new_snapshot(), record->batch, to_hex(record->digest), expected.batch,
                      to_hex(expected.digest)));
    }
    batch = record->batch;
  }
  reached(CrashPoint::kSnapshotVerified);
  if (absl::Status s = publish_snapshot(disk_, layout_, batch); !s.ok()) return s;
  reached(CrashPoint::kSnapshotPublished);
  log_info("snapshot {} is made", batch);
  const std::lock_guard lock(mutex_);
  newest_ = batch;
  return absl::OkStatus();
}

// Its files are those of the live state; under the snapshot's names no compaction removes them.
absl::Status SnapshotKeeper::read_back(BatchId batch) {
  const absl::Status read = scan_new(batch);
  if (absl::IsCancelled(read)) return absl::OkStatus();
  if (!read.ok()) return read;
  reached(CrashPoint::kSnapshotReadBack);
  if (absl::Status s = mark_snapshot(disk_, layout_, batch, CheckpointLayout::kScannedName);
      !s.ok()) {
    return s;
  }
  reached(CrashPoint::kSnapshotMarkedRead);
  log_debug("snapshot {} read back", batch);
  return prune_snapshots(disk_, layout_, options_.retain);
}

absl::Status SnapshotKeeper::scan_new(BatchId batch) {
  auto store = open_state_(disk_, layout_.snapshot(batch), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  std::string reading;
  std::set<TableFile> here;
  const absl::Status read = scan_files(
      **store, [this](std::uint64_t bytes) { return pace(bytes, /*again=*/false); },
      [&](const TableFile& file) {
        here.insert(file);
        reading = file.name;
        return scanned_.contains(file);
      },
      [&](const TableFile& file) { scanned_.insert(file); });
  if (absl::IsDataLoss(read) && !reading.empty()) note_damage(reading, read);
  // Only what a later snapshot can still hold needs to be remembered.
  if (read.ok())
    std::erase_if(scanned_, [&](const TableFile& file) { return !here.contains(file); });
  return read;
}

// One round over all files, over as many snapshots as are made meanwhile.
absl::Status SnapshotKeeper::scrub() {
  scrubbed_up_to_ = 0;
  BatchId before = kNoBatch;
  while (true) {
    auto newest = newest_snapshot(disk_, layout_);
    if (!newest.ok()) return newest.status();
    if (*newest == before || *newest == kNoBatch) return absl::OkStatus();
    before = *newest;
    const absl::Status read = scrub_snapshot(before);
    if (absl::IsCancelled(read)) return absl::OkStatus();
    // Taken away by hand while it was read.
    if (absl::IsDataLoss(read) && !exists(disk_, layout_.snapshot(before))) continue;
    if (!read.ok()) return read;
  }
}

// What has a higher number than the file that was read last, until a newer snapshot is there: then
// this one may be gone at any moment. OK too if the thread is called away for good.
absl::Status SnapshotKeeper::scrub_snapshot(BatchId batch) {
  auto store = open_state_(disk_, layout_.snapshot(batch), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  std::map<std::uint64_t, std::string> by_number;
  for (const TableFile& file : (*store)->table_files()) {
    by_number[std::strtoull(file.name.c_str(), nullptr, 10)] = file.name;
  }
  for (auto file = by_number.upper_bound(scrubbed_up_to_); file != by_number.end(); ++file) {
    const auto slowly = [this](std::uint64_t bytes) { return pace(bytes, /*again=*/true); };
    if (!slowly(0)) return absl::CancelledError(file->second + ": not read");
    const absl::Status read = (*store)->scan_table_file(file->second, slowly);
    const bool there = exists(disk_, layout_.snapshot(batch));  // or taken away by hand
    if (absl::IsDataLoss(read) && there) note_damage(file->second, read);
    if (!read.ok()) return read;
    scrubbed_up_to_ = file->first;
    const std::lock_guard lock(mutex_);
    if (newest_ != batch) return absl::OkStatus();
  }
  return absl::OkStatus();
}

// What was read back by an earlier run.
void SnapshotKeeper::load_scanned() {
  auto snapshots = list_snapshots(disk_, layout_);
  if (!snapshots.ok()) return;
  for (auto snapshot = snapshots->rbegin(); snapshot != snapshots->rend(); ++snapshot) {
    if (!snapshot->scanned || stopping()) continue;
    auto store = open_state_(disk_, layout_.snapshot(snapshot->batch), OpenMode::kReadOnly);
    if (!store.ok()) return;
    for (const TableFile& file : (*store)->table_files()) scanned_.insert(file);
    return;
  }
}

bool SnapshotKeeper::pace(std::uint64_t bytes, bool again) {
  std::unique_lock lock(mutex_);
  const auto may_go_on = [&] { return !stopping_ && !give_up_ && failure_.ok(); };
  const auto called = [&] { return !may_go_on() || (again ? taken_.has_value() : hurry_); };
  const std::uint64_t per_s = again ? options_.scrub_bytes_per_s : options_.scan_bytes_per_s;
  changed_.wait_for(lock, std::chrono::microseconds(bytes * 1'000'000 / per_s), called);
  if (again && taken_ && may_go_on()) {
    lock.unlock();
    keep_taken();
    lock.lock();
  }
  return may_go_on();
}

// A live state that opens well may hold the file all the same: the next start must know.
void SnapshotKeeper::note_damage(const std::string& file, const absl::Status& damage) {
  if (!exists(disk_, layout_.live() + "/" + file)) return;
  const absl::Status noted = publish_file(disk_, layout_.live(), CheckpointLayout::kDamageName,
                                          fmt::format("{}: {}", file, message_of(damage)));
  if (!noted.ok()) log_warning("the damage could not be noted: {}", message_of(noted));
}

}  // namespace clicktally
