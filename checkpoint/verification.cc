#include "checkpoint/verification.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

absl::Status check_progress(const CommitRecord& record) {
  for (const auto& [id, partition] : record.partitions) {
    const Offset advanced = partition.next - partition.start;
    const PartitionCounters& counters = partition.counters;
    if (counters.records() + counters.gaps + partition.moved == advanced) continue;
    const std::string moved =
        partition.moved == 0 ? "" : fmt::format(" and operators moved them by {}", partition.moved);
    return absl::DataLossError(
        fmt::format("partition {}: {} records and {} gaps were counted{}, but the offsets "
                    "advanced by {}",
                    id, counters.records(), counters.gaps, moved, advanced));
  }
  return absl::OkStatus();
}

absl::Status check_digest(const CommitRecord& record, const CountStore& store) {
  auto sum = store.sum_of_file_digests();
  if (!sum.ok()) return sum.status();
  if (*sum == record.digest) return absl::OkStatus();
  return absl::DataLossError(fmt::format("the files' digests add up to {}, batch {} has {}",
                                         to_hex(*sum), record.batch, to_hex(record.digest)));
}

absl::Status check_against_committed(Disk& disk, const CheckpointLayout& layout,
                                     const CommitRecord& record) {
  auto committed = read_witness(disk, layout, WitnessOf::kCommitted);
  if (absl::IsNotFound(committed.status())) return absl::OkStatus();  // it is made anew
  if (!committed.ok()) return committed.status();
  return check_witness(WitnessOf::kCommitted, *committed, record).status();
}

absl::StatusOr<bool> was_shown(Disk& disk, const CheckpointLayout& layout,
                               const CommitRecord& record) {
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (absl::IsNotFound(shown.status())) {
    log_warning(
        "{}: missing; nothing proves that batch {} is the newest that was shown; it is taken "
        "for not shown yet",
        layout.shown_file(), record.batch);
    return false;
  }
  if (!shown.ok()) return shown.status();
  return check_witness(WitnessOf::kShown, *shown, record);
}

// A damaged state is reported with the next step, once, here.
absl::Status damaged(const CheckpointLayout& layout, const absl::Status& status) {
  if (!absl::IsDataLoss(status) && !absl::IsNotFound(status)) return status;
  const std::string_view message = message_of(status);
  if (message.find("restore the checkpoint") != message.npos) return status;
  return absl::DataLossError(
      fmt::format("{}: damaged: {}; restore the checkpoint from a backup", layout.root(), message));
}

absl::Status check_against_note(Disk& disk, const CheckpointLayout& layout) {
  auto note = read_file(disk, layout.damage_note());
  if (absl::IsNotFound(note.status())) return absl::OkStatus();
  if (!note.ok() && !absl::IsDataLoss(note.status())) return note.status();
  return absl::DataLossError(note.ok() ? escape_controls(*note)
                                       : "an earlier run noted that it is damaged");
}

// Snapshots are made of the live state, so none can be ahead of it.
absl::Status check_against_snapshots(Disk& disk, const CheckpointLayout& layout,
                                     const CommitRecord& record) {
  auto newest = newest_snapshot(disk, layout);
  if (!newest.ok()) return newest.status();
  if (*newest <= record.batch) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("the state is at batch {}, but there is a snapshot of batch {}: committed "
                  "batches are missing",
                  record.batch, *newest));
}

}  // namespace

absl::StatusOr<CommitRecord> verify_record(const CountStore& store) {
  auto bytes = store.last_record();
  if (absl::IsNotFound(bytes.status())) return absl::DataLossError(bytes.status().message());
  if (!bytes.ok()) return bytes.status();
  auto record = decode_commit_record(*bytes);
  if (!record.ok()) return record.status();
  if (absl::Status s = check_digest(*record, store); !s.ok()) return s;
  if (absl::Status s = check_progress(*record); !s.ok()) return s;
  return record;
}

absl::StatusOr<VerifiedState> verify_state(Disk& disk, const CheckpointLayout& layout,
                                           const CountStore& store) {
  auto record = verify_record(store);
  if (!record.ok()) return damaged(layout, record.status());
  for (const absl::Status& s :
       {check_against_note(disk, layout), check_against_snapshots(disk, layout, *record),
        check_against_committed(disk, layout, *record)}) {
    if (!s.ok()) return damaged(layout, s);
  }
  auto shown = was_shown(disk, layout, *record);
  if (!shown.ok()) return damaged(layout, shown.status());
  return VerifiedState{std::move(*record), *shown};
}

}  // namespace clicktally
