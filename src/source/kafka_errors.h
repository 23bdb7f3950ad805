// Which of librdkafka's errors pass by themselves and which end the job, and what a person is told.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "source/kafka_handles.h"
#include "source/source.h"

namespace clicktally {

enum class KafkaTrouble {
  kPassing,       // librdkafka tries again from the same offset
  kTopicInDoubt,  // the topic or a partition seems to be gone; brokers say so for a moment at times
  kOutOfRange,    // a broker says that it has no such offset; see range_doubts.h
  kFinal,
};

// For an error in a partition's queue. Errors that librdkafka makes itself (a record that it could
// not read) are final unless known to pass, for it goes on behind such a record.
KafkaTrouble judge_partition_error(rd_kafka_resp_err_t code);

// A trouble as it came out of a partition's queue.
struct PartitionTrouble {
  KafkaTrouble kind = KafkaTrouble::kPassing;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  PartitionId partition = -1;
  Offset offset = 0;  // the one that was wanted
  std::string words;  // librdkafka's
};

absl::Status unreadable_record(std::string_view topic, const PartitionTrouble& trouble);
// `available` is what Kafka says it has now.
absl::Status out_of_range(std::string_view topic, const PartitionTrouble& trouble,
                          const OffsetRange& available);
absl::Status no_such_topic(std::string_view topic, std::string_view bootstrap_servers);
absl::Status not_allowed(std::string_view topic, std::string_view words);
absl::Status login_refused(std::string_view words);
// kResourceExhausted: the system gives librdkafka no thread.
absl::Status no_threads(std::string_view words);
absl::Status topic_went_away(std::string_view topic, std::string_view what);

}  // namespace clicktally
