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

std::string offsets_json(const std::map<PartitionId, Offset>& next) {
  std::string out = "{";
  for (const auto& [id, offset] : next) {
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", id, offset);
  }
  return out + "}";
}

std::string offsets_json(const CommitRecord& record) {
  return offsets_json(summary_of(record).next);
}

StateSummary summary_of(const CommitRecord& record) {
  StateSummary summary{
      .epoch = record.epoch, .batch = record.batch, .clicks = record.totals().clicks, .next = {}};
  for (const auto& [id, partition] : record.partitions) summary.next[id] = partition.next;
  return summary;
}

void note_adjustment(std::int64_t time_ms, std::string command,
                     const std::optional<StateSummary>& before, CommitRecord* record) {
  Adjustment note{.time_ms = time_ms,
                  .command = std::move(command),
                  .automatic = false,
                  .before = before,
                  .after = summary_of(*record)};
  const auto drop = [](std::map<PartitionId, Offset>* offsets, const auto& is_said) {
    std::erase_if(*offsets, [&](const auto& entry) { return !is_said(entry.first); });
  };
  std::size_t said = 0;
  std::map<PartitionId, bool> says;
  for (const auto& [id, next] : note.after->next) {
    const bool same =
        note.before && note.before->next.contains(id) && note.before->next[id] == next;
    says[id] = !same && said++ < kMostAdjustedPartitions;
  }
  if (note.before) drop(&note.before->next, [&](PartitionId id) { return says[id]; });
  drop(&note.after->next, [&](PartitionId id) { return says[id]; });
  record->adjustments.push_back(std::move(note));
  if (record->adjustments.size() > kMostAdjustments) {
    record->adjustments.erase(record->adjustments.begin());
  }
}

}  // namespace clicktally
