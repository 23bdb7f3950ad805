// Every step of the program after which a crash leaves something else on disk, by name.
//
// The programs say reached(point) as they pass one. In clicktally and clicktally-inspect this does
// nothing. Two test programs are the same with another definition linked in, which ends the process
// there by SIGKILL (tests/support/kill_at_points.cc); so no switch stands in the product.
//
// This list is the only one. Above each group stands the one place that says it: file, function.
// The tests read it: tests/tidy/crash_points_test.py holds that each point is said there and
// nowhere else, tests/crash/points_test.py and repair_points_test.py that the real process can be
// killed at each. A point's comment says what has just happened.
//
// Threads: any. Errors: none.
#pragma once

namespace clicktally {

enum class CrashPoint {
  // checkpoint/checkpoint.cc Checkpoint::lock
  kLocked,  // the directory is there, and ours alone
  // checkpoint/checkpoint.cc Checkpoint::create
  kPinnedInLiveNew,  // the offsets are pinned, in a state under a name that nobody trusts
  kNewShownMade,
  kNewStateNamed,   // live.new is live, its name not synced
  kNewStateSynced,  // so it is
  kJobFileMade,     // the checkpoint is whole
  // checkpoint/checkpoint.cc Checkpoint::finish_creation
  kLeftoverSwept,     // a creation that was cut short: live.new is gone
  kPinnedStateFound,  // live holds the pinned offsets, job.json is missing

  // checkpoint/checkpoint.cc Checkpoint::recover
  kJobFileRead,
  // checkpoint/checkpoint.cc Checkpoint::open_live
  kStateVerified,  // read-only; nothing was written yet
  kStateOpened,    // RocksDB has read its log and may have written
  // checkpoint/snapshot_keeper.cc SnapshotKeeper::begin
  kLeftoversSwept,  // nothing half-made is left
  // src/pipeline/pipeline.cc Pipeline::run
  kRepeatDue,     // the last batch is not known to have been shown
  kWorkersEnded,  // the last batch is shown, the last snapshot is not taken

  // src/pipeline/pipeline.cc Pipeline::commit_and_show
  kCommitBegun,      // the batch is closed, the next one fills
  kCommitted,        // durable, noted, not shown
  kOffsetsReported,  // the consumer group will be told
  // checkpoint/checkpoint.cc Checkpoint::commit
  kCommitDurable,  // COMMITTED does not say so
  // state/rocks_count_store.cc RocksCountStore::log
  kLogWriteDue,  // a small commit stands in memory
  // state/rocks_count_store.cc RocksCountStore::ingest
  kTableBuilt,  // a large commit stands in a file of its own that nobody refers to
  // src/pipeline/pipeline.cc Pipeline::show
  kEmitted,  // the sink has the batch, SHOWN does not say so
  kNotedInShown,

  // src/base/disk.cc publish_file
  kStagedForPublishing,  // NAME.tmp is written and synced
  kPublishedUnsynced,    // it is renamed to NAME
  // src/base/disk.cc remove_tree
  kRemovedOne,  // of a directory that goes: one of its files or folders

  // checkpoint/snapshot_keeper.cc SnapshotKeeper::take
  kSnapshotDue,
  kSnapshotTaken,  // S1: snapshots/new
  // checkpoint/snapshot_keeper.cc SnapshotKeeper::verify_and_publish
  kSnapshotVerified,   // S2
  kSnapshotPublished,  // S3
  // checkpoint/snapshots.cc publish_snapshot
  kSnapshotNamed,  // within S3: not synced
  // checkpoint/snapshot_keeper.cc SnapshotKeeper::read_back
  kSnapshotReadBack,    // S4, its mark is not made
  kSnapshotMarkedRead,  // S4
  // checkpoint/snapshots.cc remove_snapshot
  kPruneDue,     // S5: nobody reads it
  kPruneNamed,   // N.gone, its name not synced
  kPruneSynced,  // so it is; nothing of it is removed

  // checkpoint/fallback.cc fall_back
  kFallbackBegun,  // Kafka has all it takes
  kNextCopied,     // F1
  kNextCommitted,  // F2
  kNextChecked,    // F2 is read back and synced
  kUnfitNamed,     // F3, not synced
  kEpochMade,      // F4
  // checkpoint/state_copies.cc move_in
  kDamagedMovedAside,  // F5
  kNextNamed,          // F6, not synced
  // checkpoint/fallback.cc resume_fallback
  kFallbackResumed,  // F6 at a later start, not synced

  // checkpoint/repair.cc Repair::carry_out
  kRepairKept,       // C1
  kRepairAnnounced,  // C6
  kRepairEnded,      // C10
  // checkpoint/repair.cc Repair::build
  kRepairCopied,     // C2
  kRepairCommitted,  // C3
  kRepairProved,     // C4
  kRepairLiveMade,   // C5
  // checkpoint/repair.cc make_live
  kRepairNamed,   // C7, not synced
  kRepairSynced,  // so it is
  // checkpoint/backup.cc back_up
  kBackupCopied,  // new/ is there, nobody has read it back
  kBackupNamed,   // not synced; the one before it is still there
  // checkpoint/backup.cc restore_backup
  kRestoreCopied,     // restoring/ is there, as the lost machine left it
  kRestoreCommitted,  // under its own epoch
  kRestoreNamed,      // restoring/ is live/
  // checkpoint/import.cc import_checkpoint
  kImportCounted,   // a state beside the place that was named
  kImportSnapshot,  // and its snapshot
  kImportWhole,     // and its job.json
  kImportEnded,     // it is the checkpoint

  // src/base/stop_signals.cc StopSignals::watch
  kStopAsked,
  // src/main.cc run
  kPipelineEnded,  // the last snapshot is kept; state and lock are held
  // src/main.cc main
  kAllClosed,
};

void reached(CrashPoint point);

}  // namespace clicktally
