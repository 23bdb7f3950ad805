// An imagined Kafka for tests: librdkafka's mock cluster in this process, a producer to it, and a
// way to send batches that no producer sends (control batches, wrong checksums). The mock keeps 5
// MiB a partition and drops the oldest batches, and knows no aborted transactions.
#pragma once

#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace clicktally {

class MockKafka {
 public:
  static constexpr std::int64_t kTimestamp = 1'765'704'301'000;  // of every record
  static constexpr int kBatch = 100;

  explicit MockKafka(int brokers = 3) : brokers_(brokers) {
    char words[512];
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, quiet_conf(), words, sizeof(words));
    if (host_ == nullptr) throw std::runtime_error(words);
    cluster_ = rd_kafka_mock_cluster_new(host_, brokers);
  }

  ~MockKafka() {
    if (producer_ != nullptr) rd_kafka_destroy(producer_);
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  std::string bootstrap_servers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* cluster() { return cluster_; }

  void create_topic(const std::string& topic, int partitions) {
    expect(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, brokers_));
  }

  // Waits until all are stored, in this order, at most kBatch to a batch.
  void produce(const std::string& topic, std::int32_t partition,
               const std::vector<std::string>& values) {
    for (const std::string& value : values)
      produce_one(topic, partition, value.data(), value.size());
    flush();
  }
  void produce_tombstone(const std::string& topic, std::int32_t partition) {
    produce_one(topic, partition, nullptr, 0);
    flush();
  }

  void set_brokers_up(bool up) {
    for (int broker = 1; broker <= brokers_; ++broker) {
      expect(up ? rd_kafka_mock_broker_set_up(cluster_, broker)
                : rd_kafka_mock_broker_set_down(cluster_, broker));
    }
  }
  void set_leader(const std::string& topic, std::int32_t partition, int broker) {
    expect(rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, broker));
  }
  void set_topic_error(const std::string& topic, rd_kafka_resp_err_t error) {
    rd_kafka_mock_topic_set_error(cluster_, topic.c_str(), error);
  }
  // The next `times` requests of this kind (the protocol's number) are answered with `error`.
  void fail_next(std::int16_t request, std::size_t times, rd_kafka_resp_err_t error) {
    const std::vector<rd_kafka_resp_err_t> errors(times, error);
    rd_kafka_mock_push_request_errors_array(cluster_, request, times, errors.data());
  }
  static constexpr std::int16_t kFetch = 1;
  static constexpr std::int16_t kListOffsets = 2;
  static constexpr std::int16_t kMetadata = 3;
  static constexpr std::int16_t kOffsetCommit = 8;

  // Appends a batch of one record as it stands on the wire. Needs a cluster of one broker.
  enum class Raw { kRecord, kControl, kWrongChecksum };
  void append_raw(const std::string& topic, std::int32_t partition, Raw kind) {
    const std::string batch = record_batch(kind);
    std::string request;
    put(&request, 2, 0);   // Produce
    put(&request, 2, 3);   // version
    put(&request, 4, 1);   // correlation
    put(&request, 2, -1);  // client id: null
    put(&request, 2, -1);  // transactional id: null
    put(&request, 2, 1);   // acks
    put(&request, 4, 10'000);
    put(&request, 4, 1);
    put(&request, 2, static_cast<std::int64_t>(topic.size()));
    request += topic;
    put(&request, 4, 1);
    put(&request, 4, partition);
    put(&request, 4, static_cast<std::int64_t>(batch.size()));
    request += batch;
    std::string framed;
    put(&framed, 4, static_cast<std::int64_t>(request.size()));
    exchange(framed + request);
  }

  // The offset that the group committed, -1001 if none.
  std::int64_t committed(const std::string& group, const std::string& topic,
                         std::int32_t partition) {
    rd_kafka_conf_t* conf = quiet_conf();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap_servers().c_str(), nullptr, 0);
    rd_kafka_conf_set(conf, "group.id", group.c_str(), nullptr, 0);
    rd_kafka_t* reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
    const rd_kafka_resp_err_t error = rd_kafka_committed(reader, list, 5000);
    const std::int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
    expect(error);
    return offset;
  }

 private:
  static void expect(rd_kafka_resp_err_t error) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
  }

  static rd_kafka_conf_t* quiet_conf() {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
    return conf;
  }

  void produce_one(const std::string& topic, std::int32_t partition, const void* value,
                   std::size_t size) {
    if (producer_ == nullptr) make_producer();
    while (true) {
      const auto error = rd_kafka_producev(
          producer_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_VALUE(const_cast<void*>(value), size), RD_KAFKA_V_TIMESTAMP(kTimestamp),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return expect(error);
      rd_kafka_poll(producer_, 10);
    }
  }

  void make_producer() {
    rd_kafka_conf_t* conf = quiet_conf();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap_servers().c_str(), nullptr, 0);
    rd_kafka_conf_set(conf, "linger.ms", "1", nullptr, 0);
    rd_kafka_conf_set(conf, "batch.num.messages", std::to_string(kBatch).c_str(), nullptr, 0);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "300", nullptr, 0);
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  }
  void flush() { expect(rd_kafka_flush(producer_, 20'000)); }

  static void put(std::string* bytes, int size, std::int64_t value) {
    for (int i = size - 1; i >= 0; --i) bytes->push_back(static_cast<char>(value >> (8 * i)));
  }

  // CRC-32C (RFC 3720), bit by bit.
  static std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t crc = ~0U;
    for (const char byte : bytes) {
      crc ^= static_cast<unsigned char>(byte);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
  }

  // Kafka's record batch, version 2, with one record whose fields are all short.
  static std::string record_batch(Raw kind) {
    const bool control = kind == Raw::kControl;
    const std::string key = control ? std::string("\0\0\0\1", 4) : "";  // version 0, commit
    const std::string value = control ? std::string(6, '\0') : "raw";
    std::string record;
    const auto varint = [&](std::size_t number) {
      record.push_back(static_cast<char>(number * 2));
    };
    record.push_back(0);  // attributes
    varint(0);            // timestamp delta
    varint(0);            // offset delta
    varint(key.size());
    record += key;
    varint(value.size());
    record += value;
    varint(0);  // headers

    std::string checked;
    put(&checked, 2, control ? 0x30 : 0);  // transactional and control
    put(&checked, 4, 0);                   // last offset delta
    put(&checked, 8, kTimestamp);
    put(&checked, 8, kTimestamp);
    put(&checked, 8, control ? 7 : -1);  // producer id
    put(&checked, 2, control ? 0 : -1);
    put(&checked, 4, -1);
    put(&checked, 4, 1);  // records
    checked.push_back(static_cast<char>(record.size() * 2));
    checked += record;

    std::string batch;
    put(&batch, 8, 0);
    put(&batch, 4, static_cast<std::int64_t>(4 + 1 + 4 + checked.size()));
    put(&batch, 4, 0);
    put(&batch, 1, 2);
    put(&batch, 4, crc32c(checked) ^ (kind == Raw::kWrongChecksum ? 1U : 0U));
    return batch + checked;
  }

  // Sends one request and reads its answer.
  void exchange(const std::string& request) {
    const std::string servers = bootstrap_servers();
    const int port = std::atoi(servers.c_str() + servers.rfind(':') + 1);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    char answer[4];
    const bool done =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        ::send(fd, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()) &&
        ::recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer);
    ::close(fd);
    if (!done) throw std::runtime_error("the mock broker did not answer a raw request");
  }

  const int brokers_;
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  rd_kafka_t* producer_ = nullptr;
};

}  // namespace clicktally
