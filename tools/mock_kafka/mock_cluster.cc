#include "tools/mock_kafka/mock_cluster.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>

namespace clicktally {
namespace {

absl::Status status_of(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return absl::InvalidArgumentError(rd_kafka_err2str(error));
}

class RdKafkaMockCluster final : public MockCluster {
 public:
  // `client` only runs the cluster's thread; it connects to nothing.
  RdKafkaMockCluster(rd_kafka_t* client, int brokers)
      : client_(client), brokers_(brokers), cluster_(rd_kafka_mock_cluster_new(client, brokers)) {}

  ~RdKafkaMockCluster() override {
    if (cluster_ != nullptr) rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(client_);
  }

  bool started() const { return cluster_ != nullptr; }

  std::string bootstrap_servers() const override {
    return rd_kafka_mock_cluster_bootstraps(cluster_);
  }

  absl::Status create_topic(const TopicSpec& topic) override {
    if (topic.replication > brokers_) {
      return absl::InvalidArgumentError(
          fmt::format("replication {} on {} brokers", topic.replication, brokers_));
    }
    return status_of(rd_kafka_mock_topic_create(cluster_, topic.name.c_str(), topic.partitions,
                                                topic.replication));
  }

  absl::Status set_leader(const std::string& topic, int partition, int broker) override {
    if (absl::Status status = check_broker(broker); !status.ok()) return status;
    return status_of(
        rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, broker));
  }

  absl::Status set_down(int broker) override {
    if (absl::Status status = check_broker(broker); !status.ok()) return status;
    return status_of(rd_kafka_mock_broker_set_down(cluster_, broker));
  }

  absl::Status set_up(int broker) override {
    if (absl::Status status = check_broker(broker); !status.ok()) return status;
    return status_of(rd_kafka_mock_broker_set_up(cluster_, broker));
  }

  absl::Status set_round_trip_ms(int broker, int milliseconds) override {
    if (absl::Status status = check_broker(broker); !status.ok()) return status;
    return status_of(rd_kafka_mock_broker_set_rtt(cluster_, broker, milliseconds));
  }

 private:
  absl::Status check_broker(int broker) const {
    if (broker >= 1 && broker <= brokers_) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("no broker {}: there are 1 to {}", broker, brokers_));
  }

  rd_kafka_t* client_;
  const int brokers_;
  rd_kafka_mock_cluster_t* cluster_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MockCluster>> MockCluster::start(int brokers) {
  std::array<char, 512> text{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(text.data());
  }
  auto cluster = std::make_unique<RdKafkaMockCluster>(client, brokers);
  if (!cluster->started()) {
    return absl::InvalidArgumentError(fmt::format("cannot start {} brokers", brokers));
  }
  return cluster;
}

}  // namespace clicktally
