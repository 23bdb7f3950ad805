#include "pipeline/offset_quota.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/numeric/int128.h"

namespace clicktally {

std::map<PartitionId, std::int64_t> share_quota(std::int64_t quota,
                                                const std::map<PartitionId, std::int64_t>& backlog,
                                                std::int64_t turn) {
  std::map<PartitionId, std::int64_t> shares;
  if (backlog.empty()) return shares;
  std::vector<PartitionId> order;
  absl::int128 total = 0;
  for (const auto& [id, waiting] : backlog) {
    order.push_back(id);
    shares[id] = 0;
    total += waiting;
  }
  const auto first = turn % static_cast<std::int64_t>(order.size());
  std::rotate(order.begin(), std::next(order.begin(), first), order.end());

  std::int64_t left = quota;
  for (const PartitionId id : order) {
    if (left > 0 && backlog.at(id) > 0) {
      shares[id] = 1;
      --left;
    }
  }
  const std::int64_t to_share = left;
  for (const PartitionId id : order) {
    const std::int64_t waiting = backlog.at(id);
    if (waiting <= shares[id]) continue;
    const auto part = static_cast<std::int64_t>(absl::int128(to_share) * waiting / total);
    const std::int64_t more = std::min(part, waiting - shares[id]);
    shares[id] += more;
    left -= more;
  }
  // What rounding left over goes to backlogs first, and only then to records yet to come.
  for (const PartitionId id : order) {
    const std::int64_t more = std::clamp<std::int64_t>(backlog.at(id) - shares[id], 0, left);
    shares[id] += more;
    left -= more;
  }
  const auto count = static_cast<std::int64_t>(order.size());
  const std::int64_t even = left / count;
  std::int64_t odd = left % count;
  for (const PartitionId id : order) shares[id] += even + (odd-- > 0 ? 1 : 0);
  return shares;
}

}  // namespace clicktally
