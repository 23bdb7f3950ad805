#include "source/kafka_partition.h"

#include <fmt/format.h>

#include <algorithm>

#include "source/kafka_config.h"
#include "source/kafka_events.h"

namespace clicktally {
namespace {

// More in one pull would only make the first records wait for the last.
constexpr std::size_t kMostInOnePull = 20'000;

void give_back(rd_kafka_message_t** first, rd_kafka_message_t** last) {
  std::for_each(first, last, rd_kafka_message_destroy);
}

Record record_of(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &kind);
  return Record{
      .offset = message.offset,
      .timestamp_ms = kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
      .value = {static_cast<const char*>(message.payload), message.payload ? message.len : 0},
      .tombstone = message.payload == nullptr,
  };
}

}  // namespace

KafkaPartition::KafkaPartition(rd_kafka_t* handle, const std::string& topic, PartitionId id,
                               Offset next, WakeUp* wake_up, KafkaEvents* events)
    : id_(id),
      topic_(topic),
      events_(events),
      queue_(rd_kafka_queue_get_partition(handle, topic.c_str(), id)),
      full_records_(
          static_cast<std::size_t>(kafka_number(rd_kafka_conf(handle), "queued.min.messages"))),
      full_bytes_(static_cast<std::size_t>(
                      kafka_number(rd_kafka_conf(handle), "queued.max.messages.kbytes")) *
                  1000),
      track_(next) {
  rd_kafka_queue_forward(queue_.get(), nullptr);
  rd_kafka_queue_cb_event_enable(
      queue_.get(), [](rd_kafka_t*, void* bell) { static_cast<WakeUp*>(bell)->ring(); }, wake_up);
}

KafkaPartition::~KafkaPartition() {
  rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr);
  clicktally::give_back(items_.data(), items_.data() + count_);
  // What is left in the queue keeps the partition alive, and with it the whole handle.
  items_.resize(kMostInOnePull);
  ssize_t pulled = 0;
  do {
    pulled = rd_kafka_consume_batch_queue(queue_.get(), 0, items_.data(), items_.size());
    clicktally::give_back(items_.data(), items_.data() + std::max<ssize_t>(pulled, 0));
  } while (pulled > 0);
}

std::optional<PartitionTrouble> KafkaPartition::take(std::size_t most, RecordChunk* chunk) {
  chunk->partition = id_;
  chunk->next_before = track_.next();
  chunk->gaps = 0;
  chunk->repeated = 0;
  chunk->records.clear();
  if (count_ == 0) pull(most);

  std::optional<PartitionTrouble> trouble;
  for (; given_ < count_ && chunk->records.size() < most && !trouble; ++given_) {
    const rd_kafka_message_t& message = *items_[given_];
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const OffsetTrack::Verdict verdict = track_.record(message.offset, chunk);
      if (verdict == OffsetTrack::Verdict::kBeyondLimit) break;
      if (verdict == OffsetTrack::Verdict::kNext) chunk->records.push_back(record_of(message));
    } else if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      if (track_.end(message.offset, chunk) == OffsetTrack::Verdict::kBeyondLimit) break;
    } else {
      trouble = judge(message);
    }
  }
  chunk->next_after = track_.next();
  return trouble;
}

bool KafkaPartition::give_back() {
  clicktally::give_back(items_.data(), items_.data() + given_);
  std::copy(items_.data() + given_, items_.data() + count_, items_.data());
  count_ -= given_;
  given_ = 0;
  return track_.next() < track_.limit() && (count_ > 0 || !queue_was_short_);
}

absl::Status KafkaPartition::restart(rd_kafka_t* handle, Offset offset) {
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), id_)->offset = offset;
  KafkaError error(rd_kafka_incremental_unassign(handle, list.get()));
  if (!error) error.reset(rd_kafka_incremental_assign(handle, list.get()));
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("topic {} partition {}: librdkafka does not fetch again: {}; start again", topic_,
                  id_, rd_kafka_error_string(error.get())));
}

void KafkaPartition::pull(std::size_t most) {
  // Near the limit no more than can be used: what is pulled and kept is memory that the bounds of
  // the queue do not see.
  const auto room = static_cast<std::size_t>(track_.limit() - track_.next());
  const std::size_t wanted = std::min({most, room, kMostInOnePull});
  if (items_.size() < wanted) items_.resize(wanted);
  const ssize_t pulled = rd_kafka_consume_batch_queue(queue_.get(), 0, items_.data(), wanted);
  count_ = pulled > 0 ? static_cast<std::size_t>(pulled) : 0;
  queue_was_short_ = count_ < wanted;
  if (count_ > 0) watch_length(count_);
}

void KafkaPartition::watch_length(std::size_t pulled) {
  // A few records tell the size of all well enough.
  const std::size_t step = pulled / 16 + 1;
  std::size_t bytes = 0;
  std::size_t looked_at = 0;
  for (std::size_t i = 0; i < pulled; i += step, ++looked_at)
    bytes += items_[i]->len + items_[i]->key_len;
  const std::size_t bytes_a_record = bytes / looked_at;

  const std::size_t after = rd_kafka_queue_length(queue_.get());
  const std::size_t before = after + pulled;
  if (before >= full_records_ || before * bytes_a_record >= full_bytes_ / 10 * 9) was_full_ = true;
  const bool half_empty = after <= full_records_ / 2 && after * bytes_a_record <= full_bytes_ / 2;
  if (was_full_ && half_empty) {
    was_full_ = false;
    hungry_ = true;
  }
}

std::optional<PartitionTrouble> KafkaPartition::judge(const rd_kafka_message_t& message) {
  const KafkaTrouble kind = judge_partition_error(message.err);
  const char* words = rd_kafka_message_errstr(&message);
  if (kind == KafkaTrouble::kPassing) {
    events_->passing(rd_kafka_err2name(message.err), words);
    return std::nullopt;
  }
  if (kind == KafkaTrouble::kTopicInDoubt) {
    events_->raise_doubt();
    return std::nullopt;
  }
  return PartitionTrouble{.kind = kind,
                          .code = message.err,
                          .partition = id_,
                          .offset = message.offset >= 0 ? message.offset : track_.next(),
                          .words = words};
}

}  // namespace clicktally
