#include "aggregate/accumulator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/hash.h"

namespace clicktally {
namespace {

constexpr std::size_t kLoggedBytes = 64;

}  // namespace

void Accumulator::fold(const RecordChunk& chunk, std::span<const Decoded> decoded,
                       const Explain& explain) {
  PartitionDelta& partition = deltas_.partitions[chunk.partition];
  PartitionCounters& counters = partition.counters;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    const Decoded& record = decoded[i];
    switch (record.kind) {
      case RecordKind::kClick:
        ++counters.clicks;
        if (record.user == kNullUser) {
          ++counters.null_users[static_cast<std::size_t>(record.null_user_cause)];
          ++deltas_.null_clicks;
        } else {
          deltas_.clicks.add(static_cast<std::int32_t>(record.user));
        }
        break;
      case RecordKind::kOtherEvent:
        ++counters.other_events;
        break;
      case RecordKind::kRejection:
        ++counters.rejections[static_cast<std::size_t>(record.cause)];
        reject(chunk.partition, chunk.records[i], record.cause, explain);
        break;
    }
  }
  counters.gaps += chunk.gaps;
  counters.repeated += chunk.repeated;
  partition.next = chunk.next_after;
  if (!chunk.records.empty()) {
    const Record& last = chunk.records.back();
    partition.last = RecordFingerprint{last.offset, last.timestamp_ms, hash64(last.value)};
  }
}

void Accumulator::reject(PartitionId partition, const Record& record, RejectionCause cause,
                         const Explain& explain) {
  const bool first = !deltas_.first_rejected;
  if (!first && !keep_dead_letters_) return;
  DeadLetter letter{.partition = partition,
                    .offset = record.offset,
                    .timestamp_ms = record.timestamp_ms,
                    .batch = kNoBatch,
                    .cause = cause,
                    .detail = explain(record),
                    .value = std::string(record.value.substr(0, first ? kLoggedBytes : 0))};
  if (first) deltas_.first_rejected = letter;
  if (!keep_dead_letters_) return;
  letter.value = record.value;
  dead_letter_bytes_ += static_cast<std::size_t>(letter.bytes());
  deltas_.dead_letters.push_back(std::move(letter));
}

bool Accumulator::fills(std::size_t bytes) {
  if (deltas_.clicks.bytes() + dead_letter_bytes_ < bytes) return false;
  deltas_.clicks.sum_up();
  return deltas_.clicks.bytes() + dead_letter_bytes_ >= bytes;
}

Deltas Accumulator::take() {
  dead_letter_bytes_ = 0;
  return std::exchange(deltas_, Deltas{});
}

namespace {

void merge_partition(PartitionDelta& into, const PartitionDelta& more) {
  into.next = std::max(into.next, more.next);
  if (more.last && (!into.last || more.last->offset > into.last->offset)) into.last = more.last;
  into.counters += more.counters;
}

}  // namespace

BatchDeltas merge_deltas(std::span<Deltas> parts) {
  BatchDeltas batch;
  std::vector<UserRun> runs;
  std::int64_t null_clicks = 0;
  for (Deltas& part : parts) {
    null_clicks += part.null_clicks;
    std::ranges::move(part.clicks.take(), std::back_inserter(runs));
    for (const auto& [id, partition] : part.partitions) {
      merge_partition(batch.partitions[id], partition);
    }
    std::ranges::move(part.dead_letters, std::back_inserter(batch.dead_letters));
    if (!batch.first_rejected) batch.first_rejected = std::move(part.first_rejected);
  }
  std::ranges::sort(batch.dead_letters, stands_before);
  if (null_clicks != 0) runs.push_back({{kNullUser, null_clicks}});
  batch.changed = merge_runs(std::move(runs));
  return batch;
}

CommitRecord next_record(const CommitRecord& last, const BatchDeltas& batch,
                         const std::map<PartitionId, Offset>& new_partitions, std::int64_t time_ms,
                         std::size_t users_named) {
  CommitRecord next = last;
  next.batch = last.batch + 1;
  next.time_ms = time_ms;
  next.digest += digest_of(batch.changed);
  const std::size_t named = std::min({users_named, kMostUsersNamed, batch.changed.size()});
  next.changed = {.first = {}, .in_all = static_cast<std::int64_t>(batch.changed.size())};
  for (const UserClicks& row : std::span(batch.changed).first(named)) {
    next.changed.first.push_back(row.user);
  }
  for (const auto& [id, start] : new_partitions) {
    next.partitions[id] =
        PartitionRecord{.start = start, .next = start, .last = {}, .counters = {}};
  }
  for (const auto& [id, delta] : batch.partitions) {
    PartitionRecord& partition = next.partitions[id];
    partition.next = delta.next;
    if (delta.last) partition.last = delta.last;
    partition.counters += delta.counters;
  }
  return next;
}

}  // namespace clicktally
