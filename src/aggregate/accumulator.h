// Clicks of each user, and progress of each partition, since the last commit.
//
// Invariants kept here
//   I1  the deltas are those of exactly the offsets that the progress covers.
//   I7  clicks + other events + rejections + gaps = offsets advanced, each counted where it
//   happens.
//
// One accumulator belongs to one worker. At a trigger, with no worker at work, the ruling thread
// takes what all of them hold and merges it into one batch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "aggregate/user_tally.h"
#include "model/commit_record.h"
#include "model/dead_letter.h"
#include "model/decoded.h"
#include "model/record.h"
#include "model/user_key.h"

namespace clicktally {

struct PartitionDelta {
  Offset next = 0;
  std::optional<RecordFingerprint> last;
  PartitionCounters counters;
};

struct Deltas {
  UserTally clicks;
  std::int64_t null_clicks = 0;
  std::map<PartitionId, PartitionDelta> partitions;
  std::vector<DeadLetter> dead_letters;      // all, where they are kept
  std::optional<DeadLetter> first_rejected;  // with the first bytes of its value, for the log
};

// What is wrong with a rejected record, in printable ASCII.
using Explain = std::function<std::string(const Record&)>;

class Accumulator {
 public:
  // A test or a benchmark has no use for dead letters.
  explicit Accumulator(bool keep_dead_letters = false) : keep_dead_letters_(keep_dead_letters) {}

  // Adds a chunk. `decoded` answers for its records, one for one.
  void fold(const RecordChunk& chunk, std::span<const Decoded> decoded, const Explain& explain);

  // True if the clicks held, summed up per user, and the dead letters take at least `bytes` of
  // memory.
  bool fills(std::size_t bytes);

  // Everything since the last take; costs nothing, the summing up is left to merge_deltas.
  Deltas take();

 private:
  void reject(PartitionId partition, const Record& record, RejectionCause cause,
              const Explain& explain);

  bool keep_dead_letters_;
  Deltas deltas_;
  std::size_t dead_letter_bytes_ = 0;
};

struct BatchDeltas {
  UserRun changed;
  std::map<PartitionId, PartitionDelta> partitions;
  std::vector<DeadLetter> dead_letters;  // sorted, unique; their batch is not filled in
  std::optional<DeadLetter> first_rejected;
  bool moved() const { return !partitions.empty(); }
};

BatchDeltas merge_deltas(std::span<Deltas> parts);

// Users of a batch that its commit record names at most.
inline constexpr std::size_t kMostUsersNamed = 1000;

// The commit record of the batch after `last`; it names the first `users_named` users changed.
// `new_partitions` gives the pinned first offsets of partitions that `last` does not know.
CommitRecord next_record(const CommitRecord& last, const BatchDeltas& batch,
                         const std::map<PartitionId, Offset>& new_partitions, std::int64_t time_ms,
                         std::size_t users_named = 0);

}  // namespace clicktally
