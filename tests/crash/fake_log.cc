#include "crash/fake_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace clicktally {
namespace {

constexpr Offset kEnd = Offset{1} << 40;
constexpr std::uint64_t kUsers = 400;
constexpr std::int64_t kLowestUser = -100;
constexpr std::uint64_t kRecordsPerChunk = 16;
constexpr auto kPatience = std::chrono::seconds(120);
// A worker looks this often whether the run has ended: lives are many, and each ends once.
constexpr auto kLongestWait = std::chrono::milliseconds(2);

}  // namespace

std::uint64_t mix(std::uint64_t seed, PartitionId partition, Offset offset) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15U +
                    static_cast<std::uint64_t>(partition) * 0xBF58476D1CE4E5B9U +
                    static_cast<std::uint64_t>(offset) * 0x94D049BB133111EBU + 0x2545F4914F6CDD1DU;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93U;
  x ^= x >> 32;
  return x;
}

std::string log_value(std::uint64_t seed, PartitionId partition, Offset offset) {
  const std::uint64_t x = mix(seed, partition, offset);
  const auto user = static_cast<std::int64_t>((x >> 8) % kUsers) + kLowestUser;
  switch (x % 20) {
    case 0:
      return {};
    case 1:
      return fmt::format("broken {}/{}", partition, offset);
    case 2:
      return fmt::format(R"({{"user_id": {}}})", user);
    case 3:
    case 4:
      return fmt::format(R"({{"user_id": {}, "action": "view"}})", user);
    case 5:
      return R"({"action": "click"})";
    default:
      return fmt::format(R"({{"user_id": {}, "action": "click"}})", user);
  }
}

FakeLog::FakeLog(FakeLogOptions options, std::atomic<bool>& stop)
    : options_(std::move(options)), stop_(stop), dice_(options_.dice) {}

bool FakeLog::has_some() const {
  return std::ranges::any_of(released_, [this](const auto& released) {
    return !held_.contains(released.first) && next_.at(released.first) < released.second;
  });
}

bool FakeLog::drained() const {
  return held_.empty() && next_ == released_;
}

void FakeLog::drain() {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, kPatience, [this] { return drained(); })) return;
  std::fputs("crash_writer: the pipeline does not read what was released\n", stderr);
  std::abort();
}

absl::StatusOr<TopicDescription> FakeLog::describe(std::chrono::milliseconds) {
  TopicDescription topic{.cluster_id = "fake", .partitions = {}};
  const auto gone = static_cast<PartitionId>(options_.earliest.size());
  for (PartitionId id = 0; id < options_.partitions; ++id) {
    topic.partitions[id] = {id < gone ? options_.earliest[static_cast<std::size_t>(id)] : 0, kEnd};
  }
  return topic;
}

absl::Status FakeLog::start(const std::map<PartitionId, Offset>& next) {
  const std::lock_guard lock(mutex_);
  next_ = released_ = next;
  release_batch();
  return absl::OkStatus();
}

absl::StatusOr<bool> FakeLog::poll(std::size_t most, RecordChunk* chunk) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t size = 1 + dice_.below(std::min<std::uint64_t>(most, kRecordsPerChunk));
  for (auto& [id, next] : next_) {
    const Offset end = std::min(released_[id], next + static_cast<Offset>(size));
    if (next >= end || held_.contains(id)) continue;
    std::vector<std::string>& values = held_[id];
    *chunk = RecordChunk{.partition = id, .next_before = next, .next_after = end, .records = {}};
    values.reserve(size);
    for (; next < end; ++next) {
      std::string value = log_value(options_.seed, id, next);
      if (value.empty()) {
        ++chunk->gaps;
        continue;
      }
      values.push_back(std::move(value));
      chunk->records.push_back({.offset = next,
                                .timestamp_ms = 1'700'000'000'000 + next,
                                .value = values.back(),
                                .tombstone = false});
    }
    return true;
  }
  return false;
}

void FakeLog::release(RecordChunk* chunk) {
  const std::lock_guard lock(mutex_);
  held_.erase(chunk->partition);
  changed_.notify_all();
}

void FakeLog::wait(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::min(longest, kLongestWait), [this] { return has_some(); });
}

void FakeLog::set_limits(const std::map<PartitionId, Offset>&) {}

std::map<PartitionId, PartitionStatus> FakeLog::status() {
  const std::lock_guard lock(mutex_);
  std::map<PartitionId, PartitionStatus> out;
  for (const auto& [id, next] : next_) out[id] = {next, kEnd};
  return out;
}

absl::StatusOr<std::map<PartitionId, Offset>> FakeLog::take_new_partitions() {
  const std::lock_guard lock(mutex_);
  if (++triggers_ >= options_.triggers) {
    stop_ = true;
  } else {
    release_batch();
  }
  return std::map<PartitionId, Offset>();
}

void FakeLog::release_batch() {
  const auto chance = static_cast<int>(dice_.below(100));
  if (chance < options_.empty_percent) return;
  const bool large = chance < options_.empty_percent + options_.large_percent;
  const int most = large ? options_.large_records : options_.small_records;
  const int least = large ? most / 2 : 1;
  auto left = static_cast<std::int64_t>(least) +
              static_cast<std::int64_t>(dice_.below(static_cast<std::uint64_t>(most - least + 1)));
  for (auto& [id, released] : released_) {
    const bool last = id == options_.partitions - 1;
    const auto part =
        last ? left : static_cast<std::int64_t>(dice_.below(static_cast<std::uint64_t>(left + 1)));
    released += part;
    left -= part;
  }
  changed_.notify_all();
}

void FakeLog::report_committed(const std::map<PartitionId, Offset>& next) {
  if (options_.committed) options_.committed(next);
}

}  // namespace clicktally
