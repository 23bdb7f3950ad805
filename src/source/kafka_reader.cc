#include "source/kafka_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "base/log.h"
#include "source/kafka_config.h"

namespace clicktally {
namespace {

using std::chrono::milliseconds;

// A ring of the bell that got lost costs at most this.
constexpr milliseconds kLongestSleep{50};
constexpr milliseconds kDestroying{2000};

// librdkafka joins its threads when a handle is destroyed, and one of them may be looking up a host
// name. If that takes too long the handle is left to a thread of its own.
void destroy_bounded(rd_kafka_t* handle, std::shared_ptr<KafkaEvents> events) {
  std::promise<void> promise;
  std::future<void> done;
  std::thread destroyer;
  try {
    done = promise.get_future();
    destroyer = std::thread([handle, events, promise = std::move(promise)]() mutable {
      rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
      promise.set_value();
    });
  } catch (const std::exception&) {  // no memory, or no thread to spare
    return rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
  if (done.wait_for(kDestroying) == std::future_status::ready) return destroyer.join();
  log_warning("Kafka: librdkafka does not end within {} s; leaving it behind",
              kDestroying.count() / 1000);
  destroyer.detach();
}

}  // namespace

KafkaReader::KafkaReader(rd_kafka_t* handle, std::shared_ptr<KafkaEvents> events, KafkaTopic topic)
    : handle_(handle),
      events_(std::move(events)),
      topic_(std::move(topic)),
      topic_name_(rd_kafka_topic_name(topic_.get())),
      queries_(handle_, topic_.get(), events_.get()) {}

KafkaReader::~KafkaReader() {
  stop();
}

absl::StatusOr<TopicDescription> KafkaReader::describe(milliseconds timeout) {
  return queries_.describe(timeout);
}

absl::Status KafkaReader::start(const std::map<PartitionId, Offset>& next) {
  if (absl::Status status = assign(next); !status.ok()) return status;
  std::set<PartitionId> known;
  for (const auto& [id, offset] : next) known.insert(id);
  keeper_ = std::make_unique<KafkaKeeper>(
      handle_, &queries_, events_.get(), topic_name_, std::move(known),
      KafkaKeeper::Hooks{.hungry = [this] { return hungry(); },
                         .doubted = [this] { return doubted(); },
                         .resume = [this](PartitionId id) { resume(id); },
                         .fail = [this](absl::Status status) { fail(std::move(status)); }});
  return absl::OkStatus();
}

absl::Status KafkaReader::assign(const std::map<PartitionId, Offset>& next) {
  if (next.empty()) return absl::OkStatus();
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(next.size())));
  std::vector<std::unique_ptr<Slot>> fresh;
  for (const auto& [id, offset] : next) {
    rd_kafka_topic_partition_list_add(list.get(), topic_name_.c_str(), id)->offset = offset;
    fresh.push_back(
        std::make_unique<Slot>(handle_, topic_name_, id, offset, &wake_up_, events_.get()));
  }
  const KafkaError error(rd_kafka_incremental_assign(handle_, list.get()));
  if (error) {
    return absl::UnavailableError(
        fmt::format("librdkafka does not take the partitions of topic {}: {}; start again",
                    topic_name_, rd_kafka_error_string(error.get())));
  }
  const std::lock_guard lock(mutex_);
  std::move(fresh.begin(), fresh.end(), std::back_inserter(slots_));
  std::sort(slots_.begin(), slots_.end(), [](const auto& left, const auto& right) {
    return left->partition.id() < right->partition.id();
  });
  return absl::OkStatus();
}

absl::StatusOr<bool> KafkaReader::poll(std::size_t most, RecordChunk* chunk) {
  chunk->partition = -1;
  chunk->records.clear();
  if (failed_) return failure();
  std::size_t first = 0;
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    first = turn_;
    count = slots_.size();
  }
  for (std::size_t number = first; number < first + count; ++number) {
    Slot* slot = claim(number);
    if (slot == nullptr) continue;
    const auto trouble = slot->partition.take(most, chunk);
    if (trouble && trouble->kind == KafkaTrouble::kFinal) {
      fail(unreadable_record(topic_name_, *trouble));
      chunk->partition = -1;
      chunk->records.clear();
      return failure();
    }
    const bool goes_out = publish(slot, number, *chunk, trouble);
    if (keeper_ && (trouble || slot->partition.needs_feeding())) keeper_->wake();
    if (goes_out) return true;
    chunk->partition = -1;
  }
  return false;
}

KafkaReader::Slot* KafkaReader::claim(std::size_t number) {
  const std::lock_guard lock(mutex_);
  Slot* slot = slots_[number % slots_.size()].get();
  if (slot->claimed || slot->doubted || slot->next >= slot->limit) return nullptr;
  slot->claimed = true;
  slot->partition.track().set_limit(slot->limit);
  return slot;
}

bool KafkaReader::publish(Slot* slot, std::size_t number, const RecordChunk& chunk,
                          const std::optional<PartitionTrouble>& doubted) {
  const bool goes_out = chunk.next_after != chunk.next_before || chunk.repeated > 0;
  if (!goes_out) slot->partition.give_back();
  const std::lock_guard lock(mutex_);
  slot->next = chunk.next_after;
  slot->doubted = doubted;
  slot->claimed = goes_out;
  if (goes_out) turn_ = (number + 1) % slots_.size();
  return goes_out;
}

void KafkaReader::release(RecordChunk* chunk) {
  if (chunk->partition < 0) return;
  Slot* slot = slot_of(std::exchange(chunk->partition, -1));
  chunk->records.clear();
  if (slot == nullptr) return;  // stopped meanwhile
  const bool more = slot->partition.give_back();
  {
    const std::lock_guard lock(mutex_);
    slot->claimed = false;
  }
  if (more) wake_up_.ring();
}

void KafkaReader::wait(milliseconds longest) {
  wake_up_.wait(std::min(longest, kLongestSleep));
}

KafkaReader::Slot* KafkaReader::slot_of(PartitionId id) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::lower_bound(
      slots_.begin(), slots_.end(), id,
      [](const auto& slot, PartitionId wanted) { return slot->partition.id() < wanted; });
  return at == slots_.end() || (*at)->partition.id() != id ? nullptr : at->get();
}

void KafkaReader::set_limits(const std::map<PartitionId, Offset>& limits) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& slot : slots_) {
      const auto named = limits.find(slot->partition.id());
      slot->limit = named == limits.end() ? OffsetTrack::kNoLimit : named->second;
    }
  }
  wake_up_.ring();
}

std::map<PartitionId, PartitionStatus> KafkaReader::status() {
  std::map<PartitionId, PartitionStatus> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& slot : slots_) all[slot->partition.id()].next = slot->next;
  }
  for (auto& [id, status] : all) {
    // Of the last fetch's answer. It is the high watermark under either isolation level, so with an
    // open transaction it lies beyond what read_committed can reach now.
    Offset low = -1;
    Offset high = -1;
    rd_kafka_get_watermark_offsets(handle_, topic_name_.c_str(), id, &low, &high);
    status.latest_known = std::max<Offset>(high, -1);
  }
  return all;
}

absl::StatusOr<std::map<PartitionId, Offset>> KafkaReader::take_new_partitions() {
  if (failed_) return failure();
  if (!keeper_) return std::map<PartitionId, Offset>();
  std::map<PartitionId, Offset> fresh = keeper_->take_new_partitions();
  if (absl::Status status = assign(fresh); !status.ok()) return status;
  return fresh;
}

void KafkaReader::report_committed(const std::map<PartitionId, Offset>& next) {
  if (keeper_) keeper_->report(next);
}

void KafkaReader::stop() {
  if (handle_ == nullptr) return;
  wake_up_.ring_for_ever();
  keeper_.reset();
  rd_kafka_assign(handle_, nullptr);
  {
    const std::lock_guard lock(mutex_);
    slots_.clear();
  }
  topic_.reset();
  destroy_bounded(std::exchange(handle_, nullptr), events_);
}

std::vector<PartitionId> KafkaReader::hungry() {
  std::vector<PartitionId> ids;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->partition.is_hungry()) ids.push_back(slot->partition.id());
  }
  return ids;
}

std::vector<PartitionTrouble> KafkaReader::doubted() {
  std::vector<PartitionTrouble> all;
  const std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->doubted && !slot->claimed) all.push_back(*slot->doubted);
  }
  return all;
}

void KafkaReader::resume(PartitionId id) {
  // Nobody claims a partition in doubt, so it is ours until the doubt is taken away.
  Slot* slot = slot_of(id);
  const absl::Status restarted = slot->partition.restart(handle_, slot->doubted->offset);
  if (!restarted.ok()) return fail(restarted);
  const std::lock_guard lock(mutex_);
  slot->doubted.reset();
}

void KafkaReader::fail(absl::Status status) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
  }
  failed_ = true;
  wake_up_.ring_for_ever();
}

absl::Status KafkaReader::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace clicktally
