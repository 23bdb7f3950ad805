#include "source/kafka_source.h"

#include <fmt/format.h>

#include <array>

#include "base/last_resort.h"
#include "base/text.h"
#include "source/kafka_config.h"
#include "source/kafka_errors.h"
#include "source/kafka_events.h"
#include "source/kafka_reader.h"

namespace clicktally {
namespace {

// Its own, the group coordinator's, and some brokers'. Without the first two it aborts or hangs.
constexpr int kThreadsOfLibrdkafka = 8;

}  // namespace

absl::StatusOr<std::unique_ptr<Source>> make_kafka_source(const SourceOptions& options) {
  absl::StatusOr<KafkaConf> conf = make_kafka_conf(options);
  if (!conf.ok()) return conf.status();
  if (absl::Status status = check_threads(kThreadsOfLibrdkafka); !status.ok()) return status;
  auto events = std::make_shared<KafkaEvents>();
  events->attach(conf->get());

  std::array<char, 512> words{};
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), words.data(), words.size());
  if (handle == nullptr && rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) {
    return no_threads(words.data());
  }
  if (handle == nullptr) {
    return absl::InvalidArgumentError(without_secrets(
        fmt::format("librdkafka refuses its configuration: {}", one_line(words.data())), options));
  }
  conf->release();  // the handle's now
  rd_kafka_poll_set_consumer(handle);
  KafkaTopic topic(rd_kafka_topic_new(handle, options.topic.c_str(), nullptr));
  if (!topic) {
    const std::string why = rd_kafka_err2str(rd_kafka_last_error());
    rd_kafka_destroy(handle);
    return absl::InvalidArgumentError(
        fmt::format("--topic {}: librdkafka refuses this name: {}", options.topic, why));
  }
  return std::make_unique<KafkaReader>(handle, std::move(events), std::move(topic));
}

}  // namespace clicktally
