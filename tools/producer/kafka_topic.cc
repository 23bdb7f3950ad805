#include "tools/producer/kafka_topic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace clicktally {
namespace {

using Clock = std::chrono::steady_clock;
using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using AdminOptions = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;

constexpr int kAnswerTimeoutMs = 10'000;
constexpr int kReadyTimeoutMs = 30'000;
constexpr std::chrono::milliseconds kNap{50};

struct Layout {
  int partitions = 0;  // 0: there is no such topic
  bool all_led = false;
  std::vector<std::int32_t> brokers;
};

// Asks for all topics, because asking for one by name would create it on a broker that has
// auto.create.topics.enable.
absl::StatusOr<Layout> read_layout(rd_kafka_t* client, const KafkaOutputOptions& options) {
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, nullptr, &raw, kAnswerTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::UnavailableError(fmt::format("no answer from {} within {} s: {}",
                                              options.bootstrap_servers, kAnswerTimeoutMs / 1000,
                                              rd_kafka_err2str(error)));
  }
  const Owned<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> metadata(raw);
  Layout layout;
  for (int i = 0; i < metadata->broker_cnt; ++i) {
    layout.brokers.push_back(metadata->brokers[i].id);
  }
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
    if (topic.topic != options.topic) continue;
    layout.partitions = topic.partition_cnt;
    layout.all_led = std::all_of(topic.partitions, topic.partitions + topic.partition_cnt,
                                 [](const auto& partition) { return partition.leader >= 0; });
  }
  return layout;
}

absl::Status create_topic(rd_kafka_t* client, const KafkaOutputOptions& options) {
  const auto failed = [&](const char* why) {
    return absl::UnavailableError(fmt::format("cannot create topic {}: {}", options.topic, why));
  };
  std::array<char, 512> text{};
  const Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> topic(
      rd_kafka_NewTopic_new(options.topic.c_str(), options.create_partitions,
                            options.create_replication, text.data(), text.size()));
  if (topic == nullptr) return failed(text.data());
  const AdminOptions patience(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS));
  rd_kafka_AdminOptions_set_request_timeout(patience.get(), kReadyTimeoutMs, nullptr, 0);
  rd_kafka_AdminOptions_set_operation_timeout(patience.get(), kAnswerTimeoutMs, nullptr, 0);

  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client, topics, 1, patience.get(), queue.get());
  const Event answer(rd_kafka_queue_poll(queue.get(), -1));
  if (rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return failed(rd_kafka_event_error_string(answer.get()));
  }
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
    const char* why = rd_kafka_topic_result_error_string(results[i]);
    return failed(why != nullptr ? why : rd_kafka_err2str(error));
  }
  return absl::OkStatus();
}

// Whether this one broker has heard of the topic: it can only tell its settings if it has.
bool broker_knows(rd_kafka_t* client, std::int32_t broker, const std::string& topic) {
  const AdminOptions to_broker(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  rd_kafka_AdminOptions_set_broker(to_broker.get(), broker, nullptr, 0);
  rd_kafka_AdminOptions_set_request_timeout(to_broker.get(), kAnswerTimeoutMs, nullptr, 0);
  const Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));

  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(client, resources, 1, to_broker.get(), queue.get());
  const Event answer(rd_kafka_queue_poll(queue.get(), -1));
  if (rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  std::size_t count = 0;
  const rd_kafka_ConfigResource_t** results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(answer.get()), &count);
  return count == 1 && rd_kafka_ConfigResource_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace

// A topic just made is known to some brokers before others, for some hundred milliseconds on a busy
// machine. librdkafka 2.0.2 fails every queued record of a topic that it has seen once and that the
// next broker asked does not know yet; so all of them must know it before the first record.
absl::StatusOr<int> prepare_topic(rd_kafka_t* client, const KafkaOutputOptions& options) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(kReadyTimeoutMs);
  bool created = false;
  for (;; std::this_thread::sleep_for(kNap)) {
    const absl::StatusOr<Layout> layout = read_layout(client, options);
    if (!layout.ok()) return layout.status();
    if (layout->partitions == 0 && !created) {
      if (options.create_partitions == 0) {
        return absl::NotFoundError(
            fmt::format("{} has no topic {}: create it, as with --create-topic 3:3",
                        options.bootstrap_servers, options.topic));
      }
      if (absl::Status status = create_topic(client, options); !status.ok()) return status;
      created = true;
      continue;
    }
    const bool known = !created || std::ranges::all_of(layout->brokers, [&](std::int32_t broker) {
      return broker_knows(client, broker, options.topic);
    });
    if (layout->partitions > 0 && layout->all_led && known) return layout->partitions;
    if (Clock::now() > deadline) {
      return absl::UnavailableError(
          fmt::format("topic {} has partitions without a leader for {} s: start the brokers that "
                      "hold them",
                      options.topic, kReadyTimeoutMs / 1000));
    }
  }
}

}  // namespace clicktally
