#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include "base/crash_points.h"
#include "base/text.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/dead_letter_bound.h"
#include "checkpoint/directory.h"
#include "checkpoint/repair.h"
#include "checkpoint/unfinished.h"
#include "checkpoint/verification.h"

namespace clicktally {

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::open(Disk& disk, const std::string& path,
                                                             const CheckpointOptions& options) {
  auto checkpoint =
      std::unique_ptr<Checkpoint>(new Checkpoint(disk, CheckpointLayout(path), options));
  if (absl::Status s = checkpoint->prepare_directory(); !s.ok()) return s;
  if (absl::Status s = checkpoint->lock(); !s.ok()) return s;
  if (absl::Status s = checkpoint->recover(); !s.ok()) return s;
  return checkpoint;
}

absl::Status Checkpoint::prepare_directory() {
  const std::string& root = layout_.root();
  const absl::Status found = disk_.stat(root + "/.").status();
  if (absl::IsNotFound(found)) {
    if (absl::Status status = may_be_made(); !status.ok()) return status;
    const absl::Status made = make_directories(disk_, root);
    if (absl::IsNotFound(made)) {
      return absl::FailedPreconditionError(fmt::format(
          "{}; no directory can be made there: name one on a local disk", message_of(made)));
    }
    if (!made.ok()) return made;
  } else if (!found.ok()) {
    return found;  // asked again, it might be missing, and that be taken for something else
  }
  return check_directory(disk_, layout_);
}

absl::Status Checkpoint::may_be_made() const {
  if (!options_.must_exist) return absl::OkStatus();
  return absl::FailedPreconditionError(
      layout_.root() + ": there is no checkpoint, and --existing asks for one; check the path");
}

absl::Status Checkpoint::lock() {
  auto lock =
      lock_for_writing(disk_, layout_, "stop it first, or give this job another --checkpoint");
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  reached(CrashPoint::kLocked);
  return absl::OkStatus();
}

absl::Status Checkpoint::recover() {
  auto kind = checkpoint_kind(disk_, layout_);
  if (!kind.ok()) return kind.status();
  switch (*kind) {
    case CheckpointKind::kForeign:
      return absl::FailedPreconditionError(
          layout_.root() +
          ": neither empty nor a checkpoint of clicktally; name an empty or a new directory");
    case CheckpointKind::kLost:
      return lost_job_file(layout_);
    case CheckpointKind::kAbsent:
      if (absl::Status s = may_be_made(); !s.ok()) return s;
      return sync_names(disk_, layout_.root());
    case CheckpointKind::kUnfinished:
      if (absl::Status s = sync_names(disk_, layout_.root()); !s.ok()) return s;
      return finish_creation();
    case CheckpointKind::kWhole:
      break;
  }
  if (absl::Status status = check_job_file(disk_, layout_); !status.ok()) return status;
  reached(CrashPoint::kJobFileRead);
  if (absl::Status s = resume_repair(disk_, layout_, options_.open_state); !s.ok()) return s;
  if (absl::Status s = resume_fallback(disk_, layout_, options_.open_state); !s.ok()) return s;
  const absl::Status opened = open_live();
  if (!absl::IsDataLoss(opened)) return opened;
  store_.reset();
  if (!options_.may_fall_back) return opened;
  auto plan = plan_fallback(disk_, layout_, options_.open_state, opened);
  if (!plan.ok()) return plan.status();
  fallback_ = *std::move(plan);
  return absl::OkStatus();
}

absl::Status Checkpoint::open_live() {
  {
    auto readable = options_.open_state(disk_, layout_.live(), OpenMode::kReadOnly);
    if (!readable.ok()) return readable.status();
    auto verified = verify_state(disk_, layout_, **readable);
    if (!verified.ok()) return verified.status();
    last_ = std::move(verified->record);
    last_was_shown_ = verified->was_shown;
  }
  reached(CrashPoint::kStateVerified);
  auto store = options_.open_state(disk_, layout_.live(), OpenMode::kReadWrite);
  if (!store.ok()) return store.status();
  store_ = std::move(*store);
  reached(CrashPoint::kStateOpened);
  store_->drop_dead_letters_below(dead_letter_floors(last_));
  if (!exists(disk_, layout_.shown_file())) {
    const Witness nothing{last_.epoch, kNoBatch, 0};
    if (absl::Status s = create_witness(disk_, layout_, WitnessOf::kShown, nothing); !s.ok())
      return s;
  }
  return begin_commits();
}

absl::Status Checkpoint::begin_commits() {
  if (!exists(disk_, layout_.committed_file())) {
    const absl::Status made =
        create_witness(disk_, layout_, WitnessOf::kCommitted, Witness::of(last_));
    if (!made.ok()) return made;
  }
  keeper_ =
      std::make_unique<SnapshotKeeper>(disk_, layout_, options_.snapshots, options_.open_state);
  return keeper_->begin();
}

absl::Status Checkpoint::fall_back(std::int64_t time_ms) {
  const absl::Status done =
      clicktally::fall_back(disk_, layout_, options_.open_state, *fallback_, time_ms);
  if (!done.ok()) return done;
  fallback_.reset();
  return open_live();
}

// Without job.json there was never a batch: what is found is either made whole or made anew.
absl::Status Checkpoint::finish_creation() {
  auto pinned = read_unfinished(disk_, layout_, options_.open_state);
  if (!pinned.ok()) return pinned.status();
  if (absl::Status status = remove_tree(disk_, layout_.live_new()); !status.ok()) return status;
  reached(CrashPoint::kLeftoverSwept);
  if (!*pinned) return may_be_made();
  reached(CrashPoint::kPinnedStateFound);
  auto writable = options_.open_state(disk_, layout_.live(), OpenMode::kReadWrite);
  if (!writable.ok()) return writable.status();
  last_ = *std::move(*pinned);
  last_was_shown_ = true;
  const absl::Status made = create_witness(disk_, layout_, WitnessOf::kShown, Witness::of(last_));
  if (!made.ok()) return made;
  store_ = std::move(*writable);
  const absl::Status published =
      publish_file(disk_, layout_.root(), CheckpointLayout::kJobName, job_file_text());
  return published.ok() ? begin_commits() : published;
}

absl::Status Checkpoint::create(const CommitRecord& start) {
  if (absl::Status s = remove_tree(disk_, layout_.live_new()); !s.ok()) return s;
  {
    auto store = options_.open_state(disk_, layout_.live_new(), OpenMode::kCreate);
    if (!store.ok()) return store.status();
    const std::string record = encode_commit_record(start);
    if (absl::Status s = (*store)->commit({.record = record}); !s.ok()) return s;
  }
  reached(CrashPoint::kPinnedInLiveNew);
  const absl::Status made = create_witness(disk_, layout_, WitnessOf::kShown, Witness::of(start));
  if (!made.ok()) return made;
  reached(CrashPoint::kNewShownMade);
  if (absl::Status s = disk_.rename(layout_.live_new(), layout_.live()); !s.ok()) return s;
  reached(CrashPoint::kNewStateNamed);
  if (absl::Status s = disk_.sync_dir(layout_.root()); !s.ok()) return s;
  reached(CrashPoint::kNewStateSynced);
  if (absl::Status s =
          publish_file(disk_, layout_.root(), CheckpointLayout::kJobName, job_file_text());
      !s.ok()) {
    return s;
  }
  reached(CrashPoint::kJobFileMade);
  auto store = options_.open_state(disk_, layout_.live(), OpenMode::kReadWrite);
  if (!store.ok()) return store.status();
  store_ = std::move(*store);
  last_ = start;
  last_was_shown_ = true;
  return begin_commits();
}

// The same batch with the same counts, so neither SHOWN nor a snapshot of it has to change.
absl::Status Checkpoint::belong_to(const std::string& cluster_id) {
  CommitRecord record = last_;
  record.job.cluster_id = cluster_id;
  const std::string bytes = encode_commit_record(record);
  if (absl::Status s = store_->commit({.batch = record.batch, .record = bytes}); !s.ok()) return s;
  last_ = std::move(record);
  return absl::OkStatus();
}

absl::Status Checkpoint::commit(CommitRecord next, std::span<const UserClicks> changed,
                                std::vector<DeadLetter> dead_letters) {
  if (!dead_letters.empty()) {
    for (DeadLetter& letter : dead_letters) letter.batch = next.batch;
    auto before = view();
    if (!before.ok()) return before.status();
    const absl::Status bounded =
        bound_dead_letters(options_.most_dead_letter_bytes, **before, &next, &dead_letters);
    if (!bounded.ok()) return bounded;
  }
  const std::string record = encode_commit_record(next);
  const absl::Status done = store_->commit(
      {.batch = next.batch, .record = record, .changed = changed, .dead_letters = dead_letters});
  if (!done.ok()) {
    if (absl::Status status = still_there(); !status.ok()) return status;
    return with_next_step(done, fmt::format("the checkpoint is at batch {} or {}, whole; mend the "
                                            "disk and start again",
                                            last_.batch, next.batch));
  }
  store_->drop_dead_letters_below(dead_letter_floors(next));
  last_ = std::move(next);
  last_was_shown_ = false;
  reached(CrashPoint::kCommitDurable);
  return note_last(WitnessOf::kCommitted);
}

absl::Status Checkpoint::mark_shown() {
  last_was_shown_ = true;
  return note_last(WitnessOf::kShown);
}

absl::Status Checkpoint::note_last(WitnessOf what) {
  const Witness last = Witness::of(last_);
  const absl::Status written = write_witness(disk_, layout_, what, last);
  if (written.ok()) return written;
  if (absl::IsNotFound(written)) {  // a person removed it, or the checkpoint
    const absl::Status there = still_there();
    return there.ok() ? create_witness(disk_, layout_, what, last) : there;
  }
  return with_next_step(
      written, fmt::format("{} and start again: batch {}, which is committed, is shown {}",
                           absl::IsDataLoss(written) ? "remove it" : "mend the disk", last_.batch,
                           what == WitnessOf::kShown ? "again" : "then"));
}

// Somebody may have removed or moved the directory under the running job.
absl::Status Checkpoint::still_there() {
  if (!absl::IsNotFound(disk_.stat(layout_.job_file()).status())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      layout_.root() +
      ": the checkpoint was removed or moved while the job ran; put it back whole, or start a new "
      "one");
}

}  // namespace clicktally
