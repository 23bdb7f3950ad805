#include "bench/raw_drain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "source/kafka_config.h"
#include "source/kafka_handles.h"
#include "source/kafka_source.h"

namespace clicktally {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{30'000};
constexpr milliseconds kIdle{100};
constexpr std::size_t kMessagesAtOnce = 20'000;

// The workers of drain_by_source and what they share.
class SourceDrain {
 public:
  SourceDrain(Source& source, std::int64_t offsets, std::size_t chunk)
      : source_(source), offsets_left_(offsets), chunk_(chunk) {}

  absl::StatusOr<Drained> run(int workers) {
    std::vector<std::thread> threads;
    for (int i = 0; i < workers; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (!failure_.ok()) return failure_;
    return sum_;
  }

 private:
  void work() {
    RecordChunk chunk;
    Drained mine;
    while (offsets_left_ > 0) {
      const auto found = source_.poll(chunk_, &chunk);
      if (!found.ok()) return end(mine, found.status());
      if (!*found) {
        source_.wait(kIdle);
        continue;
      }
      mine.records += static_cast<std::int64_t>(chunk.records.size());
      for (const Record& record : chunk.records) {
        mine.bytes += static_cast<std::int64_t>(record.value.size());
      }
      offsets_left_ -= chunk.next_after - chunk.next_before;
      source_.release(&chunk);
    }
    end(mine, absl::OkStatus());
  }

  void end(const Drained& mine, const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    sum_.records += mine.records;
    sum_.bytes += mine.bytes;
    if (status.ok()) return;
    failure_ = status;
    offsets_left_ = 0;
  }

  Source& source_;
  std::atomic<std::int64_t> offsets_left_;
  const std::size_t chunk_;
  std::mutex mutex_;
  Drained sum_;           // guarded by mutex_
  absl::Status failure_;  // guarded by mutex_
};

// A consumer that was assigned a topic, all partitions from their earliest offsets.
class PlainConsumer {
 public:
  explicit PlainConsumer(rd_kafka_t* handle) : handle_(handle) {}
  ~PlainConsumer() {
    queue_.reset();
    rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
  PlainConsumer(const PlainConsumer&) = delete;
  PlainConsumer& operator=(const PlainConsumer&) = delete;

  absl::Status assign(const std::string& topic) {
    auto partitions = ask_partitions(topic);
    if (!partitions.ok()) return partitions.status();
    const KafkaPartitionList list(rd_kafka_topic_partition_list_new(*partitions));
    for (int id = 0; id < *partitions; ++id) {
      Offset low = 0;
      Offset high = 0;
      const auto code = rd_kafka_query_watermark_offsets(handle_, topic.c_str(), id, &low, &high,
                                                         static_cast<int>(kPatience.count()));
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return refused(code);
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), id)->offset = low;
      if (high > low) ends_[id] = high;
    }
    const auto code = rd_kafka_assign(handle_, list.get());
    queue_.reset(rd_kafka_queue_get_consumer(handle_));
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? absl::OkStatus() : refused(code);
  }

  absl::StatusOr<Drained> drain() {
    Drained drained;
    std::vector<rd_kafka_message_t*> messages(kMessagesAtOnce);
    while (!ends_.empty()) {
      const ssize_t got = rd_kafka_consume_batch_queue(
          queue_.get(), static_cast<int>(kIdle.count()), messages.data(), messages.size());
      absl::Status status;
      for (ssize_t i = 0; i < got; ++i) {
        rd_kafka_message_t* message = messages[static_cast<std::size_t>(i)];
        if (absl::Status taken = take(*message, &drained); !taken.ok()) status = taken;
        rd_kafka_message_destroy(message);
      }
      if (!status.ok()) return status;
    }
    return drained;
  }

 private:
  static absl::Status refused(rd_kafka_resp_err_t code) {
    return absl::UnavailableError(fmt::format("Kafka: {}", rd_kafka_err2str(code)));
  }

  absl::StatusOr<int> ask_partitions(const std::string& name) {
    const KafkaTopic topic(rd_kafka_topic_new(handle_, name.c_str(), nullptr));
    const rd_kafka_metadata_t* answer = nullptr;
    const auto code =
        rd_kafka_metadata(handle_, 0, topic.get(), &answer, static_cast<int>(kPatience.count()));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return refused(code);
    const int partitions = answer->topics[0].partition_cnt;
    const auto topic_code = answer->topics[0].err;
    rd_kafka_metadata_destroy(answer);
    if (topic_code != RD_KAFKA_RESP_ERR_NO_ERROR) return refused(topic_code);
    return partitions;
  }

  absl::Status take(const rd_kafka_message_t& message, Drained* drained) {
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++drained->records;
      drained->bytes += static_cast<std::int64_t>(message.len);
    } else if (message.err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      return refused(message.err);
    }
    // The end of a partition comes as an event with the offset that is next.
    const bool is_end = message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    const auto end = ends_.find(message.partition);
    if (end != ends_.end() && message.offset + (is_end ? 0 : 1) >= end->second) ends_.erase(end);
    return absl::OkStatus();
  }

  rd_kafka_t* const handle_;
  KafkaQueue queue_;
  std::map<PartitionId, Offset> ends_;  // of the partitions that are not at their end yet
};

}  // namespace

absl::StatusOr<Drained> drain_by_source(const SourceOptions& options, int workers,
                                        std::size_t chunk) {
  auto source = make_kafka_source(options);
  if (!source.ok()) return source.status();
  auto topic = (*source)->describe(kPatience);
  if (!topic.ok()) return topic.status();
  std::map<PartitionId, Offset> begins;
  std::map<PartitionId, Offset> ends;
  std::int64_t offsets = 0;
  for (const auto& [id, range] : topic->partitions) {
    begins[id] = range.earliest;
    ends[id] = range.latest;
    offsets += range.latest - range.earliest;
  }
  if (absl::Status status = (*source)->start(begins); !status.ok()) return status;
  (*source)->set_limits(ends);
  auto drained = SourceDrain(**source, offsets, chunk).run(workers);
  (*source)->stop();
  return drained;
}

absl::StatusOr<Drained> drain_plainly(const SourceOptions& options) {
  auto conf = make_kafka_conf(options);
  if (!conf.ok()) return conf.status();
  std::array<char, 512> words{};
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), words.data(), words.size());
  if (handle == nullptr) return absl::InvalidArgumentError(words.data());
  conf->release();  // the handle's now
  rd_kafka_poll_set_consumer(handle);
  PlainConsumer consumer(handle);
  if (absl::Status status = consumer.assign(options.topic); !status.ok()) return status;
  return consumer.drain();
}

}  // namespace clicktally
