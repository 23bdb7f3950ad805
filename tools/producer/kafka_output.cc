#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tools/producer/event_output.h"
#include "tools/producer/kafka_topic.h"

namespace clicktally {
namespace {

// Send() looks for delivery errors once in so many records: the look takes a lock.
constexpr std::int64_t kRecordsPerPoll = 1024;

using Conf = Owned<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using Client = Owned<rd_kafka_t, rd_kafka_destroy>;
using Topic = Owned<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using ErrorText = std::array<char, 512>;

// What the callbacks report. All of them run inside calls of the owner's thread.
struct Reports {
  std::int64_t failed = 0;
  std::string first_failure;
  std::string last_trouble;  // the connections', for the line that says why nothing came through
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  auto& reports = *static_cast<Reports*>(opaque);
  if (reports.failed++ == 0) reports.first_failure = rd_kafka_err2str(message->err);
}

void on_error(rd_kafka_t*, int, const char* reason, void* opaque) {
  static_cast<Reports*>(opaque)->last_trouble = reason;
}

absl::Status set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  ErrorText text{};
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) ==
      RD_KAFKA_CONF_OK) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format("-X {}={}: {}", name, value, text.data()));
}

absl::StatusOr<Conf> make_conf(const KafkaOutputOptions& options, Reports* reports) {
  Conf conf(rd_kafka_conf_new());
  const std::pair<const char*, const std::string> ours[] = {
      {"client.id", "clicktally-produce"},
      {"bootstrap.servers", options.bootstrap_servers},
      {"enable.idempotence", "true"},
      // Successes are counted by what is missing among the failures once the queue is empty: 10 M
      // reports of success would cost more than making the events.
      {"delivery.report.only.error", "true"},
      // Deep enough that the brokers never wait for us between two of our 1 ms naps.
      {"queue.buffering.max.messages", "200000"},
      {"linger.ms", "20"},
      // Troubles on the way are told in our last line, if they matter at all.
      {"log_level", "2"},
  };
  for (const auto& [name, value] : ours) {
    if (absl::Status status = set(conf.get(), name, value); !status.ok()) return status;
  }
  for (const auto& [name, value] : options.properties) {
    if (absl::Status status = set(conf.get(), name, value); !status.ok()) return status;
  }
  rd_kafka_conf_set_opaque(conf.get(), reports);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  return conf;
}

class KafkaOutput final : public EventOutput {
 public:
  explicit KafkaOutput(const KafkaOutputOptions& options) : options_(options) {}

  absl::Status open();
  absl::Status send(std::string_view value) override;
  void wait(int milliseconds) override { rd_kafka_poll(client_.get(), milliseconds); }
  absl::Status finish() override;

 private:
  std::string trouble() const;

  const KafkaOutputOptions options_;
  Reports reports_;
  Client client_;  // the topic goes before it
  Topic topic_;
  std::int32_t partitions_ = 0;
  std::int32_t next_partition_ = 0;
  std::int64_t taken_ = 0;
};

absl::Status KafkaOutput::open() {
  absl::StatusOr<Conf> conf = make_conf(options_, &reports_);
  if (!conf.ok()) return conf.status();
  ErrorText text{};
  client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size()));
  if (client_ == nullptr) return absl::InvalidArgumentError(text.data());
  (void)conf->release();  // rd_kafka_new took it

  const absl::StatusOr<int> partitions = prepare_topic(client_.get(), options_);
  if (!partitions.ok()) {
    rd_kafka_poll(client_.get(), 0);
    return {partitions.status().code(),
            fmt::format("{}{}", std::string(partitions.status().message()), trouble())};
  }
  partitions_ = *partitions;
  topic_.reset(rd_kafka_topic_new(client_.get(), options_.topic.c_str(), nullptr));
  return absl::OkStatus();
}

absl::Status KafkaOutput::send(std::string_view value) {
  if (taken_ % kRecordsPerPoll == 0) rd_kafka_poll(client_.get(), 0);
  if (reports_.failed > 0) return absl::AbortedError("a delivery failed");
  if (rd_kafka_produce(topic_.get(), next_partition_, RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(value.data()), value.size(), nullptr, 0, nullptr) == 0) {
    ++taken_;
    if (++next_partition_ == partitions_) next_partition_ = 0;
    return absl::OkStatus();
  }
  const rd_kafka_resp_err_t error = rd_kafka_last_error();
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return absl::ResourceExhaustedError("");
  if (reports_.failed++ == 0) reports_.first_failure = rd_kafka_err2str(error);
  return absl::AbortedError("a record was refused");
}

// Every record ends either stored or in on_delivery, at the latest after message.timeout.ms.
absl::Status KafkaOutput::finish() {
  while (rd_kafka_outq_len(client_.get()) > 0) rd_kafka_flush(client_.get(), 1000);
  rd_kafka_poll(client_.get(), 0);
  ErrorText text{};
  if (rd_kafka_fatal_error(client_.get(), text.data(), text.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    reports_.first_failure = text.data();
    reports_.failed = std::max<std::int64_t>(reports_.failed, 1);
  }
  if (reports_.failed == 0) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("{} of {} events were not confirmed by {}: {}{}; send them to an empty topic "
                  "again",
                  reports_.failed, taken_, options_.topic, reports_.first_failure, trouble()));
}

std::string KafkaOutput::trouble() const {
  return reports_.last_trouble.empty() ? "" : fmt::format(" ({})", reports_.last_trouble);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventOutput>> make_kafka_output(const KafkaOutputOptions& options) {
  auto output = std::make_unique<KafkaOutput>(options);
  if (absl::Status status = output->open(); !status.ok()) return status;
  return output;
}

}  // namespace clicktally
