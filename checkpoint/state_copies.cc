#include "checkpoint/state_copies.h"

#include <fmt/format.h>

#include "base/crash_points.h"
#include "base/hash.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/verification.h"
#include "checkpoint/witness.h"

namespace clicktally {

bool is_mark(const std::string& name) {
  return name == CheckpointLayout::kScannedName || name == CheckpointLayout::kPinnedName ||
         name == CheckpointLayout::kDamageName;
}

absl::Status copy_state(Disk& disk, const std::string& from, const std::string& to) {
  auto names = disk.list(from);
  if (!names.ok()) return names.status();
  if (absl::Status s = disk.create_dir(to); !s.ok()) return s;
  for (const std::string& name : *names) {
    if (is_mark(name)) continue;
    const std::string source = from + "/" + name;
    const std::string target = to + "/" + name;
    const absl::Status done =
        name.ends_with(".sst") ? disk.link(source, target) : copy_file(disk, source, target);
    if (!done.ok()) return done;
  }
  return disk.sync_dir(to);
}

absl::Status commit_record_to(Disk& disk, const std::string& state, const StoreOpener& open_state,
                              const CommitRecord& record, std::span<const DeadLetter> forgotten) {
  auto store = open_state(disk, state, OpenMode::kReadWrite);
  if (!store.ok()) return store.status();
  const std::string bytes = encode_commit_record(record);
  return (*store)->commit({.batch = record.batch, .record = bytes, .forgotten = forgotten});
}

absl::StatusOr<CommitRecord> read_store_whole(const CountStore& store) {
  auto record = verify_record(store);
  if (!record.ok()) return record;
  const absl::Status read = scan_files(
      store, [](std::uint64_t) { return true; }, [](const TableFile&) { return false; },
      [](const TableFile&) {});
  if (!read.ok()) return read;
  return record;
}

absl::Status check_rows(const CountStore& store, const CommitRecord& record) {
  auto view = store.view();
  if (!view.ok()) return view.status();
  Digest digest = 0;
  std::int64_t clicks = 0;
  std::int64_t of_null = 0;
  const absl::Status scanned = (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
    digest += digest_of(count.user, count.clicks);
    clicks += count.clicks;
    if (count.user == kNullUser) of_null = count.clicks;
    return true;
  });
  if (!scanned.ok()) return scanned;
  if (digest == record.digest && clicks == record.totals().clicks &&
      of_null == record.null_clicks()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format(
      "the rows add up to {} clicks, {} of NULL, and digest {}; batch {} has {}, {} and {}", clicks,
      of_null, to_hex(digest), record.batch, record.totals().clicks, record.null_clicks(),
      to_hex(record.digest)));
}

absl::StatusOr<CommitRecord> verify_copy(Disk& disk, const std::string& state,
                                         const StoreOpener& open_state) {
  auto store = open_state(disk, state, OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  return verify_record(**store);
}

absl::Status announce_epoch(Disk& disk, const CheckpointLayout& layout, std::int64_t epoch) {
  return create_witness(disk, layout, WitnessOf::kShown,
                        {.epoch = epoch, .batch = kNoBatch, .digest = 0});
}

absl::Status move_in(Disk& disk, const CheckpointLayout& layout, const std::string& next,
                     const std::string& aside) {
  auto live = disk.stat(layout.live());
  if (live.ok()) {
    if (absl::Status s = disk.rename(layout.live(), aside); !s.ok()) return s;
    if (absl::Status s = disk.sync_dir(layout.root()); !s.ok()) return s;
    reached(CrashPoint::kDamagedMovedAside);
  } else if (!absl::IsNotFound(live.status())) {
    return live.status();
  }
  if (absl::Status s = disk.rename(next, layout.live()); !s.ok()) return s;
  reached(CrashPoint::kNextNamed);
  return disk.sync_dir(layout.root());
}

}  // namespace clicktally
