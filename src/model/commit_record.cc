#include "model/commit_record.h"

#include <fmt/format.h>

namespace clicktally {
namespace {

// " (not_json 2, empty 1)"; nothing if all are 0.
template <std::size_t n>
std::string causes_text(const std::array<std::int64_t, n>& counts,
                        const std::array<std::string_view, n>& names, std::string_view intro = "") {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    if (counts[i] == 0) continue;
    text += text.empty() ? fmt::format(" ({}", intro) : ", ";
    text += fmt::format("{} {}", names[i], counts[i]);
  }
  return text.empty() ? text : text + ")";
}

}  // namespace

std::string text_of(const PartitionCounters& counters) {
  return fmt::format(
      "{} clicks{}, {} other events, {} rejected{}, {} gaps, {} repeated", counters.clicks,
      causes_text(counters.null_users, kNullUserCauseNames, "of NULL: "), counters.other_events,
      counters.rejected(), causes_text(counters.rejections, kRejectionCauseNames), counters.gaps,
      counters.repeated);
}

std::string offsets_json(const CommitRecord& record) {
  std::string out = "{";
  for (const auto& [id, partition] : record.partitions) {
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", id, partition.next);
  }
  return out + "}";
}

}  // namespace clicktally
