// --max-offsets-per-trigger: how many offsets of each partition a batch may still take.
#pragma once

#include <cstdint>
#include <map>

#include "model/record.h"

namespace clicktally {

// How a partition stands in the batch being filled, in offsets.
struct BatchProgress {
  std::int64_t read;     // into this batch already
  std::int64_t backlog;  // known of and not read yet
};

// Each partition's part of `quota` offsets in this batch, in proportion to what it had to read when
// the batch began; never less than what it has read. So a partition that is slow to answer keeps
// its part however often the quota is shared anew: only what others do not need goes round.
// The shares add up to `quota`, or to what is read where that is more; while the quota lasts, every
// partition with a backlog gets at least one, beginning with partition `turn` (mod their number),
// so that a quota smaller than the number of partitions starves none over several batches. What the
// backlogs do not need is shared evenly: it is for records that arrive meanwhile.
std::map<PartitionId, std::int64_t> share_quota(
    std::int64_t quota, const std::map<PartitionId, BatchProgress>& partitions, std::int64_t turn);

}  // namespace clicktally
