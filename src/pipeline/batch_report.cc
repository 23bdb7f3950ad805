#include "pipeline/batch_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/log.h"

namespace clicktally {
namespace {

constexpr std::int64_t kBetweenReportsMs = 1000;

}  // namespace

void BatchReport::say(BatchId batch, const BatchDeltas& deltas) {
  PartitionCounters sum;
  std::int64_t newest_ms = -1;
  for (const auto& [id, partition] : deltas.partitions) {
    sum += partition.counters;
    if (partition.last) newest_ms = std::max(newest_ms, partition.last->timestamp_ms);
  }
  const bool odd = sum.rejected() + sum.repeated > 0;
  std::string line = fmt::format("batch {}: {}", batch, text_of(sum));
  if (newest_ms >= 0) {
    line += fmt::format(", newest record {} ms old", clock_.wall_ms() - newest_ms);
  }
  if (const auto& first = deltas.first_rejected) {
    line += fmt::format("; partition {} offset {} is {}, {}: \"{}\"", first->partition,
                        first->offset, kRejectionCauseNames[static_cast<std::size_t>(first->cause)],
                        first->detail, first->value);
  }
  const std::int64_t now_ms = clock_.monotonic_ms();
  const bool often = said_ms_ != 0 && now_ms - said_ms_ < kBetweenReportsMs;
  if (!odd || often) {
    log_debug("{}", line);
    return;
  }
  said_ms_ = now_ms;
  log_info("{}", line);
}

}  // namespace clicktally
