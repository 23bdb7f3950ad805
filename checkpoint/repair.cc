#include "checkpoint/repair.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crash_points.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/directory.h"
#include "checkpoint/fallback.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/state_copies.h"
#include "checkpoint/verification.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

// The same counts at the same offsets; a fallback may have raised the epoch of one of them.
bool is_same_state(const CommitRecord& left, const CommitRecord& right) {
  return left.batch == right.batch && left.digest == right.digest &&
         left.partitions == right.partitions && left.imported == right.imported;
}

absl::Status check_built(const std::string& path, const absl::StatusOr<CommitRecord>& built,
                         const CommitRecord& wanted) {
  if (!built.ok()) return built.status();
  if (*built == wanted) return absl::OkStatus();
  return absl::DataLossError(path + ": does not hold what was written; mend that disk");
}

// The record of live.repaired/, if the repair has passed C6.
absl::StatusOr<std::optional<CommitRecord>> announced(Disk& disk, const CheckpointLayout& layout,
                                                      const StoreOpener& open_state) {
  if (!exists(disk, layout.live_repaired())) return std::nullopt;
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (!shown.ok()) return std::nullopt;  // the checks that follow say what it means
  auto record = verify_copy(disk, layout.live_repaired(), open_state);
  if (absl::IsDataLoss(record.status())) return std::nullopt;  // was never whole: before C5
  if (!record.ok()) return record.status();
  if (record->epoch != shown->epoch || shown->batch != kNoBatch) return std::nullopt;
  return *std::move(record);
}

// C8: the old state may go only if a snapshot says the same, and nobody calls it damaged.
absl::StatusOr<std::string> place_for_old(Disk& disk, const CheckpointLayout& layout,
                                          const StoreOpener& open_state) {
  if (!exists(disk, layout.live())) return layout.old_gone();
  auto record = verify_copy(disk, layout.live(), open_state);
  if (!record.ok() && !absl::IsDataLoss(record.status())) return record.status();
  if (record.ok() && !exists(disk, layout.damage_note())) {
    if (record->batch == kNoBatch) return layout.old_gone();
    auto kept = open_snapshot(disk, layout, record->batch, open_state);
    if (kept.ok() && is_same_state(kept->record, *record)) return layout.old_gone();
    const bool is_telling = absl::IsDataLoss(kept.status()) || absl::IsNotFound(kept.status());
    if (!kept.ok() && !is_telling) return kept.status();
  }
  if (!exists(disk, layout.live_damaged())) return layout.live_damaged();
  return absl::FailedPreconditionError(fmt::format(
      "{}: is in the way: move that directory away, start again", layout.live_damaged()));
}

absl::Status make_live(Disk& disk, const CheckpointLayout& layout, const StoreOpener& open_state,
                       BatchId batch) {
  if (exists(disk, layout.repaired_snapshot(batch))) {  // C7
    const std::string from = layout.repaired_snapshot(batch);
    if (absl::Status s = disk.rename(from, layout.snapshot(batch)); !s.ok()) return s;
    reached(CrashPoint::kRepairNamed);
  }
  if (absl::Status s = disk.sync_dir(layout.snapshots()); !s.ok()) return s;
  reached(CrashPoint::kRepairSynced);
  auto aside = place_for_old(disk, layout, open_state);
  if (!aside.ok()) return aside.status();
  const absl::Status moved = move_in(disk, layout, layout.live_repaired(), *aside);  // C8, C9
  return moved.ok() ? remove_tree(disk, layout.old_gone()) : moved;                  // C10
}

// What is kept of a partition's dead letters from an offset on will be read, and kept, again. Those
// that were dropped for the bound may still be there.
absl::Status forget_dead_letters_from(const CountView& view, PartitionId id, Offset from,
                                      DeadLetterCounters* counters,
                                      std::vector<DeadLetter>* forgotten) {
  const absl::Status scanned = view.scan_dead_letters(id, from, [&](const DeadLetter& letter) {
    DeadLetter& place = forgotten->emplace_back();
    place.partition = id;
    place.offset = letter.offset;
    if (letter.offset < counters->first) return true;
    --counters->kept;
    counters->bytes -= letter.bytes();
    return true;
  });
  counters->first = std::min(counters->first, from);
  return scanned;
}

std::string words_of_offsets(const std::map<PartitionId, Offset>& next) {
  std::string words = "offsets set";
  for (const auto& [id, offset] : next) words += fmt::format(" {}={}", id, offset);
  return words;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Repair>> Repair::open(Disk& disk, const std::string& checkpoint,
                                                     const StoreOpener& open_state,
                                                     ChangeMode mode) {
  auto repair = std::unique_ptr<Repair>(new Repair(disk, checkpoint, open_state));
  if (absl::Status s = repair->prepare(mode); !s.ok()) return s;
  if (absl::Status s = repair->read_live(); !s.ok()) return s;
  return repair;
}

absl::Status Repair::prepare(ChangeMode mode) {
  auto kind = checkpoint_kind(disk_, layout_);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) {
    return absl::FailedPreconditionError(
        layout_.root() + ": not a checkpoint of clicktally (it has no job.json); check the path");
  }
  if (absl::Status s = check_directory(disk_, layout_); !s.ok()) return s;
  auto lock = lock_for_writing(disk_, layout_, "stop it first: a repair needs the job stopped");
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  if (absl::Status s = check_job_file(disk_, layout_); !s.ok()) return s;
  if (mode == ChangeMode::kDryRun) {
    auto pending = announced(disk_, layout_, open_state_);
    if (!pending.ok()) return pending.status();
    const bool fell_back = !exists(disk_, layout_.live()) && exists(disk_, layout_.live_next());
    if (!*pending && !fell_back) return absl::OkStatus();
    return absl::FailedPreconditionError(
        layout_.root() +
        ": a repair or a fallback was cut short and must be gone on with first: start the job, or "
        "leave out --dry-run");
  }
  if (absl::Status s = resume_repair(disk_, layout_, open_state_); !s.ok()) return s;
  if (absl::Status s = resume_fallback(disk_, layout_, open_state_); !s.ok()) return s;
  return prepare_snapshots(disk_, layout_);
}

absl::Status Repair::read_live() {
  for (const WitnessOf what : {WitnessOf::kCommitted, WitnessOf::kShown}) {
    const absl::Status witness = read_witness(disk_, layout_, what).status();
    if (!witness.ok() && !absl::IsNotFound(witness)) return witness;  // says nothing of the state
  }
  const auto read = [this]() -> absl::StatusOr<CommitRecord> {
    auto store = open_state_(disk_, layout_.live(), OpenMode::kReadOnly);
    if (!store.ok()) return store.status();
    auto state = verify_state(disk_, layout_, **store);
    if (!state.ok()) return state.status();
    if (auto files = read_store_whole(**store); !files.ok()) return files.status();
    if (absl::Status s = check_rows(**store, state->record); !s.ok()) return s;
    return std::move(state->record);
  };
  auto record = read();
  if (record.ok()) {
    live_ = *std::move(record);
    return absl::OkStatus();
  }
  if (!absl::IsDataLoss(record.status())) return record.status();
  damage_ = words_of(record.status());
  return absl::OkStatus();
}

// The epoch and the batch after all that the checkpoint knows of.
absl::Status Repair::become_batch(std::string command, std::int64_t time_ms,
                                  CommitRecord* record) const {
  auto shown = read_witness(disk_, layout_, WitnessOf::kShown);
  if (absl::IsNotFound(shown.status()) && live_) shown = Witness::of(*live_);
  if (!shown.ok() && absl::IsNotFound(shown.status())) {
    return absl::DataLossError(
        fmt::format("{}; and {} is missing, which alone knows the epoch: restore the checkpoint "
                    "from a backup",
                    damage_, layout_.shown_file()));
  }
  if (!shown.ok()) return shown.status();
  auto committed = read_witness(disk_, layout_, WitnessOf::kCommitted);
  if (absl::IsNotFound(committed.status())) committed = shown;
  if (!committed.ok()) return committed.status();
  auto newest = newest_snapshot(disk_, layout_);
  if (!newest.ok()) return newest.status();
  record->epoch =
      1 + std::max({record->epoch, committed->epoch, shown->epoch, live_ ? live_->epoch : 0});
  record->batch = 1 + std::max({record->batch, committed->batch, shown->batch, *newest,
                                live_ ? live_->batch : 0});
  record->time_ms = time_ms;
  record->previous_duration_ms.reset();
  record->changed = {};
  if (live_) record->adjustments = live_->adjustments;
  const auto before = live_ ? std::optional(summary_of(*live_)) : std::nullopt;
  note_adjustment(time_ms, std::move(command), before, record);
  return absl::OkStatus();
}

absl::StatusOr<RepairPlan> Repair::plan_rollback(BatchId snapshot, std::int64_t time_ms) const {
  if (!live_ && exists(disk_, layout_.live_damaged())) {
    return absl::DataLossError(
        fmt::format("{}; a second damage, and {} is still there from the first: find out why this "
                    "disk damages files, move that directory away, try again",
                    damage_, layout_.live_damaged()));
  }
  auto found = open_snapshot(disk_, layout_, snapshot, open_state_);
  if (absl::IsNotFound(found.status())) {
    auto names = list_snapshots(disk_, layout_);
    if (!names.ok()) return names.status();
    return no_such_snapshot(layout_, snapshot, *names);
  }
  if (!found.ok()) return found.status();
  if (auto files = read_store_whole(*found->store); !files.ok()) return files.status();
  if (absl::Status s = check_rows(*found->store, found->record); !s.ok()) return s;
  RepairPlan plan{.source = layout_.snapshot(snapshot),
                  .before = live_,
                  .damage = damage_,
                  .after = std::move(found->record),
                  .forgotten = {}};
  const absl::Status numbered =
      become_batch(fmt::format("rollback to snapshot {}", snapshot), time_ms, &plan.after);
  if (!numbered.ok()) return numbered;
  return plan;
}

absl::StatusOr<RepairPlan> Repair::plan_offsets(const std::map<PartitionId, Offset>& next,
                                                std::int64_t time_ms) const {
  if (!live_) {
    return absl::DataLossError(damage_ + "; roll back to a snapshot first, then set offsets");
  }
  RepairPlan plan{
      .source = layout_.live(), .before = live_, .damage = "", .after = *live_, .forgotten = {}};
  auto store = open_state_(disk_, layout_.live(), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto view = (*store)->view();
  if (!view.ok()) return view.status();
  for (const auto& [id, offset] : next) {
    const bool is_new = !plan.after.partitions.contains(id);
    PartitionRecord& partition = plan.after.partitions[id];
    if (is_new) partition.start = partition.next = offset;
    const std::int64_t by = offset - partition.next;
    if (by == 0) continue;
    partition.next = offset;
    partition.moved += by;
    partition.last.reset();
    if (by > 0) continue;
    const absl::Status forgotten =
        forget_dead_letters_from(**view, id, offset, &partition.dead_letters, &plan.forgotten);
    if (!forgotten.ok()) return forgotten;
  }
  if (plan.after == *live_) {
    return absl::InvalidArgumentError("offsets set: these are the next offsets already");
  }
  if (absl::Status s = become_batch(words_of_offsets(next), time_ms, &plan.after); !s.ok()) {
    return s;
  }
  return plan;
}

absl::Status Repair::carry_out(const RepairPlan& plan) {
  if (absl::Status s = keep_what_is(plan); !s.ok()) return s;
  reached(CrashPoint::kRepairKept);
  if (absl::Status s = build(plan); !s.ok()) return s;
  if (absl::Status s = announce_epoch(disk_, layout_, plan.after.epoch); !s.ok()) return s;  // C6
  reached(CrashPoint::kRepairAnnounced);
  const absl::Status made = make_live(disk_, layout_, open_state_, plan.after.batch);
  reached(CrashPoint::kRepairEnded);
  return made;
}

absl::Status Repair::keep_what_is(const RepairPlan& plan) {
  if (!plan.before || plan.before->batch == kNoBatch) return absl::OkStatus();
  const BatchId batch = plan.before->batch;
  {
    auto there = open_snapshot(disk_, layout_, batch, open_state_);
    if (there.ok() && is_same_state(there->record, *plan.before)) return absl::OkStatus();
    const bool is_telling = absl::IsDataLoss(there.status()) || absl::IsNotFound(there.status());
    if (!there.ok() && !is_telling) return there.status();
  }
  if (exists(disk_, layout_.snapshot(batch))) {  // damaged, while the live state is whole
    const std::string aside = layout_.snapshot(batch) + ".damaged";
    if (absl::Status s = remove_tree(disk_, aside); !s.ok()) return s;
    if (absl::Status s = disk_.rename(layout_.snapshot(batch), aside); !s.ok()) return s;
  }
  if (absl::Status s = copy_state(disk_, layout_.live(), layout_.new_snapshot()); !s.ok()) {
    return s;
  }
  const absl::Status same = check_built(
      layout_.new_snapshot(), verify_copy(disk_, layout_.new_snapshot(), open_state_), *live_);
  return same.ok() ? publish_snapshot(disk_, layout_, batch) : same;
}

absl::Status Repair::build(const RepairPlan& plan) {
  const std::string made = layout_.repaired_snapshot(plan.after.batch);
  if (absl::Status s = copy_state(disk_, plan.source, made); !s.ok()) return s;  // C2
  reached(CrashPoint::kRepairCopied);
  const absl::Status committed =
      commit_record_to(disk_, made, open_state_, plan.after, plan.forgotten);  // C3
  if (!committed.ok()) return committed;
  reached(CrashPoint::kRepairCommitted);
  {
    auto store = open_state_(disk_, made, OpenMode::kReadOnly);  // C4
    if (!store.ok()) return store.status();
    if (absl::Status s = check_built(made, read_store_whole(**store), plan.after); !s.ok()) {
      return s;
    }
    if (absl::Status s = check_rows(**store, plan.after); !s.ok()) return s;
  }
  auto mark = disk_.open_append(made + "/" + CheckpointLayout::kScannedName, Disk::Create::kKeep);
  if (!mark.ok()) return mark.status();
  if (absl::Status s = (*mark)->close(); !s.ok()) return s;
  if (absl::Status s = disk_.sync_dir(layout_.snapshots()); !s.ok()) return s;
  reached(CrashPoint::kRepairProved);
  const std::string next = layout_.live_repaired();
  if (absl::Status s = copy_state(disk_, made, next); !s.ok()) return s;  // C5
  const absl::Status same = check_built(next, verify_copy(disk_, next, open_state_), plan.after);
  if (!same.ok()) return same;
  const absl::Status synced = disk_.sync_dir(layout_.root());
  reached(CrashPoint::kRepairLiveMade);
  return synced;
}

absl::Status resume_repair(Disk& disk, const CheckpointLayout& layout,
                           const StoreOpener& open_state) {
  auto record = announced(disk, layout, open_state);
  if (!record.ok()) return record.status();
  if (!*record) return absl::OkStatus();
  log_warning("{}: going on with a repair that was cut short: {}", layout.root(),
              (*record)->adjustments.empty() ? "" : (*record)->adjustments.back().command);
  return make_live(disk, layout, open_state, (*record)->batch);
}

absl::StatusOr<std::string> live_path(Disk& disk, const CheckpointLayout& layout,
                                      const StoreOpener& open_state) {
  auto record = announced(disk, layout, open_state);
  if (!record.ok()) return record.status();
  return *record ? layout.live_repaired() : layout.live();
}

}  // namespace clicktally
