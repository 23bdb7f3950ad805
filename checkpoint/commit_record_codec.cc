#include "checkpoint/commit_record_codec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace clicktally {
namespace {

using nlohmann::json;

// A record that says nothing but what format 1 can say is written as such: an older clicktally can
// read it. Format 2 has two more terms in its sums, `moved` and `imported`.
constexpr int kRecordFormat = 2;

int format_of(const CommitRecord& record) {
  if (record.imported != ImportedClicks{}) return 2;
  for (const auto& [id, partition] : record.partitions) {
    if (partition.moved != 0) return 2;
  }
  return 1;
}

constexpr std::size_t kChecksumSize = 16;

std::string hex64(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

// Written with fmt and not through a tree of nlohmann's: it stands on the way of every commit, and
// a tree costs as much as a fifth of the disk's sync. Strings, which need escapes, go through
// nlohmann.

std::string text_of(const std::string& value) {
  return json(value).dump(-1, ' ', false, json::error_handler_t::replace);
}

template <std::size_t n>
std::string counts_text(const std::array<std::int64_t, n>& counts,
                        const std::array<std::string_view, n>& names) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    fmt::format_to(std::back_inserter(text), "{}\"{}\":{}", i == 0 ? "" : ",", names[i], counts[i]);
  }
  return text;
}

void write_partition(PartitionId id, const PartitionRecord& partition, std::string* out) {
  const PartitionCounters& counters = partition.counters;
  const auto to = std::back_inserter(*out);
  fmt::format_to(to, R"("{}":{{"start":{},"next":{},"clicks":{},"null_users":{{{}}})", id,
                 partition.start, partition.next, counters.clicks,
                 counts_text(counters.null_users, kNullUserCauseNames));
  fmt::format_to(to, R"(,"other_events":{},"rejections":{{{}}},"gaps":{},"repeated":{})",
                 counters.other_events, counts_text(counters.rejections, kRejectionCauseNames),
                 counters.gaps, counters.repeated);
  const DeadLetterCounters& letters = partition.dead_letters;
  fmt::format_to(to, R"(,"dead_letters":{{"first":{},"kept":{},"bytes":{},"dropped":{}}})",
                 letters.first, letters.kept, letters.bytes, letters.dropped);
  if (partition.moved != 0) fmt::format_to(to, R"(,"moved":{})", partition.moved);
  if (partition.last) {
    fmt::format_to(to, R"(,"last":{{"offset":{},"timestamp_ms":{},"hash":"{:016x}"}})",
                   partition.last->offset, partition.last->timestamp_ms, partition.last->hash);
  }
  *out += '}';
}

std::string summary_text(const StateSummary& summary) {
  return fmt::format(R"({{"epoch":{},"batch":{},"clicks":{},"next":{}}})", summary.epoch,
                     summary.batch, summary.clicks, offsets_json(summary.next));
}

std::string adjustment_text(const Adjustment& adjustment) {
  std::string text = fmt::format(R"({{"time_ms":{},"command":{})", adjustment.time_ms,
                                 text_of(adjustment.command));
  if (adjustment.automatic) text += R"(,"automatic":true)";
  if (adjustment.before) text += R"(,"before":)" + summary_text(*adjustment.before);
  if (adjustment.after) text += R"(,"after":)" + summary_text(*adjustment.after);
  return text + "}";
}

std::optional<StateSummary> summary_in(const json& in, const char* name) {
  if (!in.contains(name)) return std::nullopt;
  const json& summary = in.at(name);
  StateSummary out{.epoch = summary.at("epoch").get<std::int64_t>(),
                   .batch = summary.at("batch").get<BatchId>(),
                   .clicks = summary.at("clicks").get<std::int64_t>(),
                   .next = {}};
  for (const auto& [id, next] : summary.at("next").items()) {
    out.next[std::stoi(id)] = next.get<Offset>();
  }
  return out;
}

template <std::size_t n>
void read_counts(const json& in, const std::array<std::string_view, n>& names,
                 std::array<std::int64_t, n>* counts) {
  for (std::size_t i = 0; i < n; ++i) in.at(std::string(names[i])).get_to((*counts)[i]);
}

PartitionRecord partition_of(const json& in) {
  PartitionRecord out;
  in.at("start").get_to(out.start);
  in.at("next").get_to(out.next);
  in.at("clicks").get_to(out.counters.clicks);
  in.at("other_events").get_to(out.counters.other_events);
  in.at("gaps").get_to(out.counters.gaps);
  in.at("repeated").get_to(out.counters.repeated);
  read_counts(in.at("null_users"), kNullUserCauseNames, &out.counters.null_users);
  read_counts(in.at("rejections"), kRejectionCauseNames, &out.counters.rejections);
  const json& dead_letters = in.at("dead_letters");
  dead_letters.at("first").get_to(out.dead_letters.first);
  dead_letters.at("kept").get_to(out.dead_letters.kept);
  dead_letters.at("bytes").get_to(out.dead_letters.bytes);
  dead_letters.at("dropped").get_to(out.dead_letters.dropped);
  out.moved = in.value("moved", std::int64_t{0});
  if (in.contains("last")) {
    const json& last = in.at("last");
    out.last =
        RecordFingerprint{.offset = last.at("offset").get<Offset>(),
                          .timestamp_ms = last.at("timestamp_ms").get<std::int64_t>(),
                          .hash = std::stoull(last.at("hash").get<std::string>(), nullptr, 16)};
  }
  return out;
}

CommitRecord record_of(const json& in) {
  CommitRecord out;
  in.at("epoch").get_to(out.epoch);
  in.at("batch").get_to(out.batch);
  in.at("time_ms").get_to(out.time_ms);
  if (in.contains("previous_duration_ms")) {
    out.previous_duration_ms = in.at("previous_duration_ms").get<std::int64_t>();
  }
  const json& job = in.at("job");
  job.at("cluster_id").get_to(out.job.cluster_id);
  job.at("topic").get_to(out.job.topic);
  job.at("filter").get_to(out.job.filter);
  job.at("key").get_to(out.job.key);
  for (const auto& [id, partition] : in.at("partitions").items()) {
    out.partitions[std::stoi(id)] = partition_of(partition);
  }
  if (!from_hex(in.at("digest").get<std::string>(), &out.digest)) {
    throw std::invalid_argument("digest");
  }
  in.at("changed").at("in_all").get_to(out.changed.in_all);
  in.at("changed").at("first").get_to(out.changed.first);
  for (const json& adjustment : in.at("adjustments")) {
    out.adjustments.push_back({.time_ms = adjustment.at("time_ms").get<std::int64_t>(),
                               .command = adjustment.at("command").get<std::string>(),
                               .automatic = adjustment.value("automatic", false),
                               .before = summary_in(adjustment, "before"),
                               .after = summary_in(adjustment, "after")});
  }
  if (in.contains("imported")) {
    in.at("imported").at("clicks").get_to(out.imported.clicks);
    in.at("imported").at("of_null").get_to(out.imported.of_null);
  }
  return out;
}

}  // namespace

std::string encode_commit_record(const CommitRecord& record) {
  std::string text = fmt::format(
      R"({{"format":{},"epoch":{},"batch":{},"time_ms":{},"digest":"{}",)", format_of(record),
      record.epoch, record.batch, record.time_ms, to_hex(record.digest));
  if (record.previous_duration_ms) {
    text += fmt::format(R"("previous_duration_ms":{},)", *record.previous_duration_ms);
  }
  const JobFingerprint& job = record.job;
  text += fmt::format(
      R"("job":{{"cluster_id":{},"topic":{},"filter":{},"key":{}}},"partitions":{{)",
      text_of(job.cluster_id), text_of(job.topic), text_of(job.filter), text_of(job.key));
  for (const auto& [id, partition] : record.partitions) {
    if (text.back() == '}') text += ',';
    write_partition(id, partition, &text);
  }
  text += fmt::format(R"(}},"changed":{{"in_all":{},"first":[{}]}},"adjustments":[)",
                      record.changed.in_all, fmt::join(record.changed.first, ","));
  for (const Adjustment& adjustment : record.adjustments) {
    if (text.back() == '}') text += ',';
    text += adjustment_text(adjustment);
  }
  text += ']';
  if (record.imported != ImportedClicks{}) {
    text += fmt::format(R"(,"imported":{{"clicks":{},"of_null":{}}})", record.imported.clicks,
                        record.imported.of_null);
  }
  text += '}';
  return hex64(hash64(text)) + " " + text;
}

absl::StatusOr<CommitRecord> decode_commit_record(std::string_view bytes) {
  const absl::Status damaged = absl::DataLossError("the commit record is damaged");
  if (bytes.size() < kChecksumSize + 2 || bytes[kChecksumSize] != ' ') return damaged;
  const std::string_view text = bytes.substr(kChecksumSize + 1);
  if (bytes.substr(0, kChecksumSize) != hex64(hash64(text))) return damaged;
  try {
    const json in = json::parse(text);
    if (const int format = in.at("format").get<int>(); format < 1 || format > kRecordFormat) {
      return absl::FailedPreconditionError(
          fmt::format("the commit record has format {}, this clicktally reads formats 1 to {}; use "
                      "the version that wrote it",
                      format, kRecordFormat));
    }
    return record_of(in);
  } catch (const std::exception& error) {  // nlohmann throws, and so do stoi and stoull
    return absl::DataLossError(fmt::format("the commit record lacks a field: {}", error.what()));
  }
}

}  // namespace clicktally
