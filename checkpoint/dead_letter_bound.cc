#include "checkpoint/dead_letter_bound.h"

#include <algorithm>
#include <deque>
#include <span>
#include <tuple>
#include <utility>

namespace clicktally {
namespace {

// A dead letter without its bytes.
struct Kept {
  BatchId batch;
  std::int64_t timestamp_ms;
  PartitionId partition;
  Offset offset;
  std::int64_t bytes;
};

Kept kept_of(const DeadLetter& letter) {
  return {letter.batch, letter.timestamp_ms, letter.partition, letter.offset, letter.bytes()};
}

bool is_older(const Kept& left, const Kept& right) {
  return std::tie(left.batch, left.timestamp_ms, left.partition) <
         std::tie(right.batch, right.timestamp_ms, right.partition);
}

// What is kept of a partition, oldest first: what the state holds, then what the batch adds.
class OldestFirst {
 public:
  OldestFirst(const CountView& view, PartitionId partition, Offset from,
              std::span<const DeadLetter> added)
      : view_(view), partition_(partition), from_(from), added_(added) {}

  // Borrowed until pop(); null if none is left.
  absl::StatusOr<const Kept*> head() {
    if (heads_.empty() && in_state_) {
      if (absl::Status status = read_on(); !status.ok()) return status;
    }
    if (heads_.empty()) {
      for (const DeadLetter& letter : std::exchange(added_, {})) heads_.push_back(kept_of(letter));
    }
    return heads_.empty() ? nullptr : &heads_.front();
  }
  void pop() { heads_.pop_front(); }

 private:
  static constexpr std::size_t kReadAhead = 1024;

  absl::Status read_on() {
    const absl::Status scanned =
        view_.scan_dead_letters(partition_, from_, [this](const DeadLetter& letter) {
          heads_.push_back(kept_of(letter));
          return heads_.size() < kReadAhead;
        });
    in_state_ = !heads_.empty();
    if (in_state_) from_ = heads_.back().offset + 1;
    return scanned;
  }

  const CountView& view_;
  const PartitionId partition_;
  Offset from_;
  std::span<const DeadLetter> added_;
  bool in_state_ = true;
  std::deque<Kept> heads_;
};

std::int64_t kept_bytes(const CommitRecord& record) {
  std::int64_t bytes = 0;
  for (const auto& [id, partition] : record.partitions) bytes += partition.dead_letters.bytes;
  return bytes;
}

std::span<const DeadLetter> of_partition(std::span<const DeadLetter> letters, PartitionId id) {
  const auto from = std::ranges::lower_bound(letters, id, {}, &DeadLetter::partition);
  const auto to = std::ranges::upper_bound(letters, id, {}, &DeadLetter::partition);
  return {from, to};
}

}  // namespace

absl::Status bound_dead_letters(std::int64_t most_bytes, const CountView& view, CommitRecord* next,
                                std::vector<DeadLetter>* added) {
  for (const DeadLetter& letter : *added) {
    DeadLetterCounters& counters = next->partitions[letter.partition].dead_letters;
    ++counters.kept;
    counters.bytes += letter.bytes();
  }
  std::int64_t too_much = kept_bytes(*next) - most_bytes;
  if (too_much <= 0) return absl::OkStatus();

  std::map<PartitionId, OldestFirst> queues;
  for (const auto& [id, partition] : next->partitions) {
    queues.try_emplace(id, view, id, partition.dead_letters.first, of_partition(*added, id));
  }
  while (too_much > 0) {
    OldestFirst* queue_of_oldest = nullptr;
    const Kept* oldest = nullptr;
    for (auto& [id, queue] : queues) {
      auto head = queue.head();
      if (!head.ok()) return head.status();
      if (*head == nullptr || (oldest != nullptr && !is_older(**head, *oldest))) continue;
      oldest = *head;
      queue_of_oldest = &queue;
    }
    if (oldest == nullptr) return absl::DataLossError("fewer dead letters are there than counted");
    DeadLetterCounters& counters = next->partitions[oldest->partition].dead_letters;
    counters.first = oldest->offset + 1;
    --counters.kept;
    ++counters.dropped;
    counters.bytes -= oldest->bytes;
    too_much -= oldest->bytes;
    queue_of_oldest->pop();
  }
  std::erase_if(*added, [next](const DeadLetter& letter) {
    return letter.offset < next->partitions[letter.partition].dead_letters.first;
  });
  return absl::OkStatus();
}

std::map<PartitionId, Offset> dead_letter_floors(const CommitRecord& record) {
  std::map<PartitionId, Offset> floors;
  for (const auto& [id, partition] : record.partitions) floors[id] = partition.dead_letters.first;
  return floors;
}

}  // namespace clicktally
