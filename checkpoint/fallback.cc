#include "checkpoint/fallback.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/crash_points.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/state_copies.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

// The record of a snapshot that is whole: opened, added up, every table file read.
absl::StatusOr<CommitRecord> read_whole(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                                        const StoreOpener& open_state) {
  auto snapshot = open_snapshot(disk, layout, batch, open_state);
  if (!snapshot.ok()) return snapshot.status();
  return read_store_whole(*snapshot->store);
}

absl::Status check_next(Disk& disk, const CheckpointLayout& layout, const StoreOpener& open_state,
                        std::int64_t least_epoch) {
  auto record = verify_copy(disk, layout.live_next(), open_state);
  if (!record.ok()) return record.status();
  if (record->epoch >= least_epoch) return absl::OkStatus();
  return absl::DataLossError(fmt::format("{}: is of epoch {}, epoch {} is needed",
                                         layout.live_next(), record->epoch, least_epoch));
}

absl::Status refuse(const absl::Status& damage, std::string_view why) {
  return absl::DataLossError(fmt::format("{}; {}", words_of(damage), why));
}

}  // namespace

std::string words_of(const absl::Status& damage) {
  const std::string words(message_of(damage));
  return words.substr(0, words.find("; restore the checkpoint"));
}

absl::StatusOr<FallbackPlan> plan_fallback(Disk& disk, const CheckpointLayout& layout,
                                           const StoreOpener& open_state,
                                           const absl::Status& damage) {
  // SHOWN must be there and whole: it alone knows which epoch was reached. A damaged witness is no
  // proof of anything but its own damage.
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (absl::IsNotFound(shown.status())) {
    return refuse(damage, layout.shown_file() +
                              " is missing, which alone knows the epoch: restore the checkpoint "
                              "from a backup");
  }
  auto committed = read_witness(disk, layout, WitnessOf::kCommitted);
  if (absl::IsNotFound(committed.status())) committed = shown;
  for (const absl::Status& s : {shown.status(), committed.status()}) {
    if (absl::IsDataLoss(s)) return s == damage ? s : refuse(damage, message_of(s));
    if (!s.ok()) return s;
  }
  if (exists(disk, layout.live_damaged())) {
    return refuse(damage,
                  fmt::format("a second damage, and {} is still there from the first: find out why "
                              "this disk damages files, move that directory away, start again",
                              layout.live_damaged()));
  }
  auto snapshots = list_snapshots(disk, layout);
  if (!snapshots.ok()) return snapshots.status();
  FallbackPlan plan{.damage = words_of(damage), .record = {}, .unfit = {}};
  for (auto name = snapshots->rbegin(); name != snapshots->rend(); ++name) {
    auto record = read_whole(disk, layout, name->batch, open_state);
    if (record.ok()) {
      plan.next_epoch = std::max({committed->epoch, shown->epoch, record->epoch}) + 1;
      plan.record = std::move(*record);
      return plan;
    }
    if (!absl::IsDataLoss(record.status())) return record.status();
    log_warning("snapshot {} cannot take over: {}", name->batch, words_of(record.status()));
    plan.unfit.push_back(name->batch);
  }
  if (plan.unfit.empty()) return damage;
  return refuse(damage, fmt::format("no snapshot can take over, {} are damaged too; restore the "
                                    "checkpoint from a backup",
                                    fmt::join(plan.unfit, ", ")));
}

absl::Status fall_back(Disk& disk, const CheckpointLayout& layout, const StoreOpener& open_state,
                       const FallbackPlan& plan, std::int64_t time_ms) {
  reached(CrashPoint::kFallbackBegun);
  // What a repair left of before its C6 might have the epoch that is taken now (repair.h).
  for (const std::string& leftover : {layout.live_next(), layout.live_repaired()}) {
    if (absl::Status s = remove_tree(disk, leftover); !s.ok()) return s;
  }
  const std::string snapshot = layout.snapshot(plan.record.batch);
  if (absl::Status s = copy_state(disk, snapshot, layout.live_next()); !s.ok()) return s;  // F1
  reached(CrashPoint::kNextCopied);

  CommitRecord record = plan.record;
  record.epoch = plan.next_epoch;
  note_adjustment(time_ms, fmt::format("fallback to snapshot {}", record.batch), std::nullopt,
                  &record);
  record.adjustments.back().automatic = true;
  if (absl::Status s = commit_record_to(disk, layout.live_next(), open_state, record); !s.ok()) {
    return s;  // F2
  }
  reached(CrashPoint::kNextCommitted);
  if (absl::Status s = check_next(disk, layout, open_state, record.epoch); !s.ok()) return s;
  if (absl::Status s = disk.sync_dir(layout.root()); !s.ok()) return s;
  reached(CrashPoint::kNextChecked);

  for (const BatchId unfit : plan.unfit) {  // F3
    const std::string aside = layout.snapshot(unfit) + ".damaged";
    if (absl::Status s = remove_tree(disk, aside); !s.ok()) return s;
    if (absl::Status s = disk.rename(layout.snapshot(unfit), aside); !s.ok()) return s;
    reached(CrashPoint::kUnfitNamed);
  }
  if (absl::Status s = disk.sync_dir(layout.snapshots()); !s.ok()) return s;
  if (absl::Status s = announce_epoch(disk, layout, record.epoch); !s.ok()) return s;  // F4
  reached(CrashPoint::kEpochMade);
  return move_in(disk, layout, layout.live_next(), layout.live_damaged());  // F5, F6
}

absl::Status resume_fallback(Disk& disk, const CheckpointLayout& layout,
                             const StoreOpener& open_state) {
  auto live = disk.stat(layout.live());
  if (!absl::IsNotFound(live.status())) return live.status();
  if (!exists(disk, layout.live_next())) return absl::OkStatus();
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (!shown.ok()) return absl::OkStatus();  // the checks that follow say what it means
  const absl::Status whole = check_next(disk, layout, open_state, shown->epoch);
  if (absl::IsDataLoss(whole)) return absl::OkStatus();  // not ready: the fallback begins anew
  if (!whole.ok()) return whole;
  if (absl::Status s = disk.rename(layout.live_next(), layout.live()); !s.ok()) return s;
  reached(CrashPoint::kFallbackResumed);
  log_warning("{}: going on with a fallback that was cut short", layout.root());
  return disk.sync_dir(layout.root());
}

}  // namespace clicktally
