// What one commit says beside the counts: which batch, and how far each partition was read. It is
// written in the same atomic write as the counts it belongs to, so that neither exists without the
// other (I1, I3). Its bytes are drawn in checkpoint/commit_record_codec.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/decoded.h"
#include "model/digest.h"
#include "model/record.h"

namespace clicktally {

// Batch ids are 0, 1, 2, ... without holes; kNoBatch is a new checkpoint's, before its first.
using BatchId = std::int64_t;
inline constexpr BatchId kNoBatch = -1;

template <std::size_t n>
std::int64_t sum_of(const std::array<std::int64_t, n>& counts) {
  std::int64_t sum = 0;
  for (const std::int64_t count : counts) sum += count;
  return sum;
}

// Each counted where it happens; none is a remainder of the others (I7).
struct PartitionCounters {
  std::int64_t clicks = 0;
  std::array<std::int64_t, kNullUserCauses> null_users{};  // clicks of the NULL group, by cause
  std::int64_t other_events = 0;
  std::array<std::int64_t, kRejectionCauses> rejections{};
  std::int64_t gaps = 0;
  std::int64_t repeated = 0;

  std::int64_t rejected() const { return sum_of(rejections); }
  std::int64_t records() const { return clicks + other_events + rejected(); }
  PartitionCounters& operator+=(const PartitionCounters& more) {
    clicks += more.clicks;
    for (std::size_t i = 0; i < kNullUserCauses; ++i) null_users[i] += more.null_users[i];
    other_events += more.other_events;
    for (std::size_t i = 0; i < kRejectionCauses; ++i) rejections[i] += more.rejections[i];
    gaps += more.gaps;
    repeated += more.repeated;
    return *this;
  }
  friend bool operator==(const PartitionCounters&, const PartitionCounters&) = default;
};

// The last record counted of a partition: what a topic that was deleted and made anew cannot have.
struct RecordFingerprint {
  Offset offset = -1;
  std::int64_t timestamp_ms = 0;
  std::uint64_t hash = 0;  // hash64 of the value; of no bytes for a tombstone
  friend bool operator==(const RecordFingerprint&, const RecordFingerprint&) = default;
};

// Rejected records that are kept whole (model/dead_letter.h).
struct DeadLetterCounters {
  Offset first = 0;  // none below is kept
  std::int64_t kept = 0;
  std::int64_t bytes = 0;    // of those kept, DeadLetter::bytes()
  std::int64_t dropped = 0;  // for the bound, since the start
  friend bool operator==(const DeadLetterCounters&, const DeadLetterCounters&) = default;
};

struct PartitionRecord {
  Offset start = 0;  // the first offset that was ever to be read; pinned before the first record
  Offset next = 0;   // the first offset that is not counted yet
  std::optional<RecordFingerprint> last;
  PartitionCounters counters = {};  // since the start
  std::int64_t moved = 0;           // by how much operators moved `next`, in all; a term of I7
  DeadLetterCounters dead_letters = {};
  friend bool operator==(const PartitionRecord&, const PartitionRecord&) = default;
};

// What the counts are counts of. A checkpoint belongs to one job for ever.
struct JobFingerprint {
  std::string cluster_id;
  std::string topic;
  std::string filter = "action == \"click\"";
  std::string key = "user_id";
  friend bool operator==(const JobFingerprint&, const JobFingerprint&) = default;
};

// Clicks that were not counted from the topic but brought along by an import; of NULL among them.
struct ImportedClicks {
  std::int64_t clicks = 0;
  std::int64_t of_null = 0;
  friend bool operator==(const ImportedClicks&, const ImportedClicks&) = default;
};

// What the audit trail says of a state.
struct StateSummary {
  std::int64_t epoch = 0;
  BatchId batch = kNoBatch;
  std::int64_t clicks = 0;
  std::map<PartitionId, Offset> next;
  friend bool operator==(const StateSummary&, const StateSummary&) = default;
};

// A change that is no batch: by an operator, or a fallback. The audit trail.
struct Adjustment {
  std::int64_t time_ms = 0;
  std::string command;
  bool automatic = false;  // a fallback, which nobody asked for
  std::optional<StateSummary> before = {},
                              after = {};  // with those offsets alone that were changed
  friend bool operator==(const Adjustment&, const Adjustment&) = default;
};
// The newest that a record keeps, and of how many partitions each says the offsets: the record
// travels with every commit. Earlier snapshots keep what theirs said.
inline constexpr std::size_t kMostAdjustments = 16;
inline constexpr std::size_t kMostAdjustedPartitions = 64;

// The users that the batch changed, so that it can be shown again without a look at all counts: the
// first of them, in order, and how many there were.
struct ChangedUsers {
  std::vector<UserKey> first;
  std::int64_t in_all = 0;
  friend bool operator==(const ChangedUsers&, const ChangedUsers&) = default;
};

struct CommitRecord {
  std::int64_t epoch = 0;
  BatchId batch = kNoBatch;
  std::int64_t time_ms = 0;  // wall clock at the batch, since the Unix epoch
  // How long the batch before took, from its trigger to the note that it was shown, by the
  // monotonic clock: a batch cannot say it of itself. Nothing if another life, or an operator, made
  // that one.
  std::optional<std::int64_t> previous_duration_ms = {};
  JobFingerprint job;
  std::map<PartitionId, PartitionRecord> partitions;
  Digest digest = 0;
  ChangedUsers changed;
  ImportedClicks imported = {};
  std::vector<Adjustment> adjustments;  // oldest first

  // Sums over the partitions, and what was imported. Clicks are also the sum of all counts (I4).
  PartitionCounters totals() const {
    PartitionCounters sum;
    for (const auto& [id, partition] : partitions) sum += partition.counters;
    sum.clicks += imported.clicks;
    return sum;
  }
  // The count of the NULL group.
  std::int64_t null_clicks() const { return sum_of(totals().null_users) + imported.of_null; }
  friend bool operator==(const CommitRecord&, const CommitRecord&) = default;
};

// "12 clicks, 7 other events, 3 rejected (not_json 2, empty 1), 0 gaps, 0 repeated".
std::string text_of(const PartitionCounters& counters);

// Appends to the audit trail, which stays bounded. What `after` says is what `record` is now; the
// offsets that did not change are left out of both.
void note_adjustment(std::int64_t time_ms, std::string command,
                     const std::optional<StateSummary>& before, CommitRecord* record);
StateSummary summary_of(const CommitRecord& record);

// "{"0":12,"1":7}": the next offsets in the JSON form that Spark uses for one topic.
std::string offsets_json(const CommitRecord& record);
std::string offsets_json(const std::map<PartitionId, Offset>& next);

}  // namespace clicktally
