// From "nothing is known" to "the first record may be read": asks Kafka what there is, then either
// pins the first offsets of a new checkpoint, or proves that an old one belongs to this topic, or
// lets a snapshot take over from a damaged state if Kafka still has what came after it (I5).
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "source/source.h"

namespace clicktally {

enum class StartingOffsets { kEarliest, kLatest };

struct StartUpOptions {
  std::string topic;
  std::string checkpoint_path;
  StartingOffsets starting_offsets = StartingOffsets::kLatest;
  std::int64_t began_ms = 0;  // monotonic, when the process began: what "ready in" counts from
};

// What the pipeline begins with. `topic` is Kafka's word after the first offsets were pinned.
struct StartUp {
  TopicDescription topic;
  std::map<PartitionId, Offset> next;            // where each partition is read from
  std::map<PartitionId, Offset> new_partitions;  // of those, the ones the checkpoint does not know
};

// kOutOfRange if records of a partition that the checkpoint does not know are gone already.
absl::Status check_new_partition(const std::string& topic, PartitionId id, Offset earliest);

// Waits for Kafka as long as it takes, with a status line every few seconds. kCancelled once `stop`
// is set. A fallback that waits in `checkpoint` is decided on here. kFailedPrecondition when the
// checkpoint is of another job, kOutOfRange when Kafka lacks offsets that were not counted. Logs
// the line that ends start-up.
absl::StatusOr<StartUp> start_up(Source& source, Checkpoint& checkpoint, const Clock& clock,
                                 const std::atomic<bool>& stop, const StartUpOptions& options);

}  // namespace clicktally
