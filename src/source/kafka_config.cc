#include "source/kafka_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "base/text.h"
#include "source/bootstrap_servers.h"
#include "source/kafka_source.h"

namespace clicktally {
namespace {

struct Setting {
  const char* name;
  const char* value;
};

// What the user may change with -X.
constexpr std::array kSettings = {
    // The name that brokers show in their logs and count quotas by.
    Setting{"client.id", "clicktally"},
    // A broker answers when there is one byte; this is how long it may wait for that byte, and so
    // how long a newly assigned partition can wait behind the fetch that is under way.
    Setting{"fetch.wait.max.ms", "100"},
    // Bytes in one answer: a broker that leads many partitions cannot flood us, and a run of
    // aborted
    // transactions, for which librdkafka doubles the previous setting, stays bounded.
    Setting{"fetch.max.bytes", "8388608"},
    // A single batch is answered whole even if it is larger than the two above. The default would
    // break the connection on a record of 100 MB, again and again.
    Setting{"receive.message.max.bytes", "1073741824"},
    // Once a fault ends we must have caught up within five seconds, so nothing may back off longer.
    Setting{"fetch.error.backoff.ms", "100"},
    Setting{"reconnect.backoff.ms", "100"},
    Setting{"reconnect.backoff.max.ms", "1000"},
    Setting{"socket.connection.setup.timeout.ms", "5000"},
    // A broker that stopped without closing its connections is given up after this; an answer of
    // fetch.max.bytes still fits on a network of 300 kB/s.
    Setting{"socket.timeout.ms", "30000"},
    Setting{"socket.keepalive.enable", "true"},
    // We are no member of the group, but so long a report to it waits for the group's coordinator;
    // meanwhile librdkafka starts no new partition and does not end.
    Setting{"session.timeout.ms", "1000"},
    // Brokers close idle connections; that is no news.
    Setting{"log.connection.close", "false"},
    Setting{"log.thread.name", "false"},
};

// What the guarantees stand on; check_source_property() refuses these names.
constexpr std::array kFixed = {
    Setting{"enable.auto.commit", "false"},
    Setting{"enable.auto.offset.store", "false"},
    // An offset that is gone is an error, never a jump.
    Setting{"auto.offset.reset", "error"},
    // The end of a partition is told as an event with its offset: that is how offsets without a
    // record at the tail (control records, compacted ones) are seen.
    Setting{"enable.partition.eof", "true"},
    Setting{"check.crcs", "true"},
};

// A partition works well with this much, and more gains nothing on a fast network: librdkafka holds
// some 400 bytes beside each record, and kafka_partition.h keeps the queue from running dry.
constexpr std::int64_t kMostBytesOfPartition = 30 << 20;
constexpr std::int64_t kMostWaitingRecords = 50'000;
constexpr std::int64_t kFewestWaitingRecords = 100;
constexpr std::int64_t kMostFetchedBytes = 1 << 20;
constexpr std::int64_t kFewestFetchedBytes = 64 << 10;

// What brokers take as one batch of records unless told otherwise.
constexpr std::int64_t kLeastReceived = 1 << 20;

struct Refusal {
  std::string_view name;  // a final * stands for anything
  std::string_view reason;
};

constexpr std::string_view kOffsets = "offsets live in the checkpoint and nowhere else";
constexpr std::string_view kPointer = "it is a pointer inside the program, not a text";
constexpr std::string_view kCode = "it would load code or run a command";
constexpr std::string_view kOldProtocol =
    "it would speak a protocol without isolation levels, so that aborted records are counted";

constexpr std::array kRefusals = {
    Refusal{"bootstrap.servers", "use --bootstrap-servers"},
    Refusal{"metadata.broker.list", "use --bootstrap-servers"},
    Refusal{"isolation.level", "use --isolation-level"},
    Refusal{"enable.auto.commit", kOffsets},
    Refusal{"auto.commit.enable", kOffsets},
    Refusal{"auto.commit.interval.ms", kOffsets},
    Refusal{"enable.auto.offset.store", kOffsets},
    Refusal{"offset.store.*", kOffsets},
    Refusal{"auto.offset.reset", "an offset that Kafka no longer has must stop the job"},
    Refusal{"enable.partition.eof", "ends of partitions are needed to account for every offset"},
    Refusal{"check.crcs", "a damaged record must never be skipped unseen"},
    Refusal{"allow.auto.create.topics", "a mistyped topic must be an error, not a new topic"},
    Refusal{"topic.blacklist", "it would hide the topic"},
    Refusal{"group.instance.id", "partitions are assigned, there is no group membership"},
    Refusal{"partition.assignment.strategy",
            "partitions are assigned, there is no group membership"},
    Refusal{"api.version.request", kOldProtocol},
    Refusal{"api.version.fallback.ms", kOldProtocol},
    Refusal{"broker.version.fallback", kOldProtocol},
    Refusal{"consume.callback.*", "records are taken in batches, not by callbacks"},
    Refusal{"enabled_events", "it would silence the errors that must stop the job"},
    Refusal{"log.queue", "it would hide librdkafka's log"},
    Refusal{"internal.termination.signal", "signals belong to clicktally"},
    Refusal{"test.mock.*", "it would replace the brokers by imagined ones"},
    Refusal{"plugin.library.paths", kCode},
    Refusal{"ssl.engine.location", kCode},
    Refusal{"ssl.engine.id", kCode},
    Refusal{"ssl_engine_location", kCode},
    Refusal{"ssl.providers", kCode},
    Refusal{"sasl.kerberos.kinit.cmd", kCode},
    Refusal{"*_cb", kPointer},
    Refusal{"opaque", kPointer},
    Refusal{"default_topic_conf", kPointer},
    Refusal{"interceptors", kPointer},
    Refusal{"ssl_key", kPointer},
    Refusal{"ssl_certificate", kPointer},
    Refusal{"ssl_ca", kPointer},
    Refusal{"ssl_engine_callback_data", kPointer},
    Refusal{"msg_order_cmp", kPointer},
    Refusal{"ut_handle_ProduceResponse", kPointer},
};

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.starts_with('*')) return name.ends_with(pattern.substr(1));
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

// With GSSAPI librdkafka puts these into a command line that a shell runs (kinit).
bool goes_to_a_shell(std::string_view name) {
  return name.starts_with("sasl.kerberos.");
}

bool is_secret(std::string_view name) {
  constexpr std::array<std::string_view, 5> kParts = {"password", "secret", "key.pem",
                                                      "oauthbearer.config", "token"};
  return std::any_of(kParts.begin(), kParts.end(),
                     [&](std::string_view part) { return name.find(part) != name.npos; });
}

absl::Status set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> words{};
  const auto answer =
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), words.data(), words.size());
  if (answer != RD_KAFKA_CONF_OK) {
    return absl::InvalidArgumentError(fmt::format("-X {}: {}", name, one_line(words.data())));
  }
  // librdkafka keeps 32 bits of some numbers and says nothing of the rest.
  std::int64_t wanted = 0;
  std::int64_t kept = 0;
  if (absl::SimpleAtoi(value, &wanted) && absl::SimpleAtoi(kafka_text(conf, name.c_str()), &kept) &&
      kept != wanted) {
    return absl::InvalidArgumentError(
        fmt::format("-X {}: {} is out of range, librdkafka would take {}", name, value, kept));
  }
  return absl::OkStatus();
}

std::int64_t bytes_of_partition(const SourceOptions& options) {
  const auto sharers = static_cast<std::int64_t>(std::max<std::size_t>(1, options.partitions));
  return std::min(kMostBytesOfPartition, options.queue_bytes / sharers);
}

// What waits in each partition's queue, whichever is reached first, and the bytes of a partition in
// one answer, by which the queue overshoots.
std::vector<std::pair<std::string, std::string>> queue_settings(const SourceOptions& options) {
  const std::int64_t bytes = bytes_of_partition(options);
  const auto part = [bytes](std::int64_t of_most) {
    return of_most * bytes / kMostBytesOfPartition;
  };
  const std::int64_t records = std::max(kFewestWaitingRecords, part(kMostWaitingRecords));
  const std::int64_t kilobytes = std::max<std::int64_t>(1, part(8192));
  const std::int64_t fetched = std::max(kFewestFetchedBytes, part(kMostFetchedBytes));
  return {{"queued.min.messages", std::to_string(records)},
          {"queued.max.messages.kbytes", std::to_string(kilobytes)},
          {"fetch.message.max.bytes", std::to_string(fetched)}};
}

// In the order in which they are set: a later one wins.
std::vector<std::pair<std::string, std::string>> all_settings(const SourceOptions& options) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Setting& setting : kSettings) all.emplace_back(setting.name, setting.value);
  const auto queue = queue_settings(options);
  all.insert(all.end(), queue.begin(), queue.end());
  all.emplace_back("group.id", "clicktally-" + options.topic);
  all.insert(all.end(), options.properties.begin(), options.properties.end());
  for (const Setting& setting : kFixed) all.emplace_back(setting.name, setting.value);
  all.emplace_back("bootstrap.servers", options.bootstrap_servers);
  const bool committed = options.isolation == IsolationLevel::kReadCommitted;
  all.emplace_back("isolation.level", committed ? "read_committed" : "read_uncommitted");
  return all;
}

}  // namespace

bool has_small_queues(const SourceOptions& options) {
  return bytes_of_partition(options) < kMostBytesOfPartition;
}

absl::Status check_source_property(std::string_view name, std::string_view value) {
  for (const Refusal& refusal : kRefusals) {
    if (matches(refusal.name, name)) {
      return absl::InvalidArgumentError(fmt::format("-X {}: refused, {}", name, refusal.reason));
    }
  }
  if (goes_to_a_shell(name) && value.find_first_of("`$;|&<>()\"'\\\n*?!{}") != value.npos) {
    return absl::InvalidArgumentError(fmt::format(
        "-X {}: refused, the value goes to a shell and has characters that it would obey", name));
  }
  std::int64_t bytes = 0;
  if (name == "receive.message.max.bytes" && absl::SimpleAtoi(std::string(value), &bytes) &&
      bytes < kLeastReceived) {
    return absl::InvalidArgumentError(
        fmt::format("-X {}: refused, a batch of records beyond it could never be read; at least {}",
                    name, kLeastReceived));
  }
  return absl::OkStatus();
}

std::string without_secrets(std::string text, const SourceOptions& options) {
  for (const auto& [name, value] : options.properties) {
    if (is_secret(name) && !value.empty()) absl::StrReplaceAll({{value, "(hidden)"}}, &text);
  }
  return text;
}

absl::StatusOr<KafkaConf> make_kafka_conf(const SourceOptions& options) {
  for (const auto& [name, value] : options.properties) {
    if (absl::Status status = check_source_property(name, value); !status.ok()) return status;
  }
  KafkaConf conf(rd_kafka_conf_new());
  for (const auto& [name, value] : all_settings(options)) {
    if (absl::Status status = set(conf.get(), name, value); !status.ok()) {
      return absl::InvalidArgumentError(without_secrets(std::string(status.message()), options));
    }
  }
  const absl::Status reachable = check_bootstrap_servers(
      options.bootstrap_servers, kafka_text(conf.get(), "security.protocol"));
  if (!reachable.ok()) return reachable;
  return conf;
}

std::string kafka_text(const rd_kafka_conf_t* conf, const char* name) {
  std::array<char, 512> text{};
  std::size_t size = text.size();
  if (rd_kafka_conf_get(conf, name, text.data(), &size) != RD_KAFKA_CONF_OK) return "";
  return text.data();
}

std::int64_t kafka_number(const rd_kafka_conf_t* conf, const char* name) {
  std::int64_t number = 0;
  return absl::SimpleAtoi(kafka_text(conf, name), &number) ? number : 0;
}

}  // namespace clicktally
