#include "source/kafka_errors.h"

#include <fmt/format.h>

#include "base/text.h"

namespace clicktally {

KafkaTrouble judge_partition_error(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return KafkaTrouble::kOutOfRange;

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return KafkaTrouble::kTopicInDoubt;

    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__NODE_UPDATE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__RETRY:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
      return KafkaTrouble::kPassing;

    // Of the brokers' own errors, those that speak of a record that cannot be had, or of rights.
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
      return KafkaTrouble::kFinal;

    default:
      return code > RD_KAFKA_RESP_ERR__END ? KafkaTrouble::kPassing : KafkaTrouble::kFinal;
  }
}

absl::Status unreadable_record(std::string_view topic, const PartitionTrouble& trouble) {
  if (trouble.code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    return not_allowed(topic, trouble.words);
  }
  return absl::UnavailableError(fmt::format(
      "topic {} partition {}: the record at offset {} cannot be read: {}; nothing behind it is "
      "counted; repair the brokers' log or the network, then start again",
      topic, trouble.partition, trouble.offset, trouble.words));
}

absl::Status out_of_range(std::string_view topic, const PartitionTrouble& trouble,
                          const OffsetRange& available) {
  const std::string where =
      fmt::format("topic {} partition {}: offset {}", topic, trouble.partition, trouble.offset);
  const std::string has =
      fmt::format("Kafka has {} up to before {}", available.earliest, available.latest);
  constexpr std::string_view kNext = "restore the records, or start a new checkpoint";
  if (trouble.offset < available.earliest) {
    return absl::OutOfRangeError(fmt::format(
        "{} is not in Kafka any more: {}, so {} records that were not counted are gone; {}", where,
        has, group_thousands(available.earliest - trouble.offset), kNext));
  }
  return absl::OutOfRangeError(
      fmt::format("{} is not in Kafka: {}, so records that were counted are gone, or the topic was "
                  "made anew; {}",
                  where, has, kNext));
}

absl::Status no_such_topic(std::string_view topic, std::string_view bootstrap_servers) {
  return absl::UnavailableError(fmt::format(
      "Kafka at {} has no topic {}; create it, or name another", bootstrap_servers, topic));
}

absl::Status not_allowed(std::string_view topic, std::string_view words) {
  return absl::UnavailableError(fmt::format(
      "Kafka does not let us read topic {}: {}; allow this user to read and describe it, or log in "
      "as another (-X sasl.username=... and -X sasl.password=...)",
      topic, words));
}

absl::Status login_refused(std::string_view words) {
  return absl::UnavailableError(fmt::format(
      "Kafka refuses the login or the encryption: {}; check -X security.protocol, -X sasl.* and "
      "-X ssl.*",
      words));
}

absl::Status no_threads(std::string_view words) {
  return absl::ResourceExhaustedError(
      fmt::format("librdkafka: {}; raise the limits of threads and memory (ulimit -u, ulimit -v, "
                  "the container's), then start again",
                  words));
}

absl::Status topic_went_away(std::string_view topic, std::string_view what) {
  return absl::UnavailableError(fmt::format(
      "topic {}: {}; bring it back with its records, or start a new checkpoint", topic, what));
}

}  // namespace clicktally
