// One life of the job: the product's own parts, from Checkpoint::open over start_up() to
// Pipeline::run(), on a fake log, a fake clock and a disk that forgets. It ends by itself after its
// triggers, or in the middle of an operation, as its options say; either way the disk is left as
// the next life finds it.
//
// Lines said (report.h): "started", "emitted", "shown", "measured" (what the process and the
// disk hold then: files, bytes, kB of memory, descriptors, threads), and last one of "stopped",
// "failed", "cut", "killed", with the operations counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crash/disk_image.h"
#include "crash/forgetful_disk.h"

namespace clicktally {

// A process's exit code says how its life ended.
inline constexpr int kExitStopped = 0;
inline constexpr int kExitCut = 21;
inline constexpr int kExitKilled = 22;
inline constexpr int kExitFailed = 23;  // the product refused or stopped; the line has its code

struct LifeOptions {
  std::string image;                        // the file that holds the disk between two lives
  std::string checkpoint = "/jobs/clicks";  // on that disk
  std::uint64_t log_seed = 0;               // what the log holds
  std::uint64_t dice = 0;                   // whatever else is random in this life
  std::int64_t triggers = 100;
  std::int64_t partitions = 3;
  std::int64_t empty_percent = 20;
  std::int64_t large_percent = 10;
  std::vector<std::int64_t> earliest;  // offsets below are gone, by partition
  bool start_at_latest = false;        // where a new checkpoint begins
  std::int64_t cut_at = 0;   // power is lost at this change
  std::int64_t kill_at = 0;  // only the process ends
  Damage damage = Damage::kDropped;
  bool power_lost_at_stop = false;
  Refusal refusal = Refusal::kNone;
  std::int64_t refuse_at = 0;
  bool refuse_once = false;
  std::int64_t workers = 2;
  bool update_mode = false;
  std::int64_t rows = 5;
  std::int64_t snapshot_triggers = 10;
  std::int64_t retain = 3;
  std::int64_t ingest_above_users = 40;
  std::int64_t dead_letter_bytes = 4096;
  std::int64_t memtable_bytes = 64 << 10;
  bool may_fall_back = true;
  std::int64_t measure_triggers = 0;  // how often "measured" is said; 0: never
};

// Does not return.
[[noreturn]] void live(const LifeOptions& options);

}  // namespace clicktally
