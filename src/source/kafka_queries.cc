#include "source/kafka_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "source/kafka_config.h"
#include "source/kafka_errors.h"
#include "source/kafka_events.h"

namespace clicktally {
namespace {

using std::chrono::milliseconds;

constexpr Offset kEarliestTime = -2;
constexpr Offset kLatestTime = -1;

// One question waits this long at most, so that a silent broker costs little: the next question may
// go to another one.
constexpr milliseconds kOneQuestion{2000};
constexpr milliseconds kBetweenQuestions{100};
// A broker that has not heard of a new topic yet says that there is none.
constexpr milliseconds kBeforeBelievingNoTopic{1000};
constexpr milliseconds kWakingBrokers{200};

class Deadline {
 public:
  explicit Deadline(milliseconds timeout) : end_(Clock::now() + timeout) {}

  bool passed() const { return Clock::now() >= end_; }
  // What is left, at most `longest`; at least a millisecond, for librdkafka takes 0 as "at once".
  milliseconds left(milliseconds longest = milliseconds::max()) const {
    const auto rest = std::chrono::duration_cast<milliseconds>(end_ - Clock::now());
    return std::clamp(rest, milliseconds(1), longest);
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point end_;
};

int in_ms(milliseconds time) {
  return static_cast<int>(time.count());
}

bool means_forbidden(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

TopicAnswer read_answer(const rd_kafka_metadata_topic_t& topic) {
  using Kind = TopicAnswer::Kind;
  const std::string words = rd_kafka_err2str(topic.err);
  if (means_forbidden(topic.err))
    return {.kind = Kind::kForbidden, .partitions = {}, .words = words};
  const bool none = topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                    topic.err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
  if (none) return {.kind = Kind::kNoSuchTopic, .partitions = {}, .words = words};
  if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR || topic.partition_cnt == 0) {
    return {.kind = Kind::kNoAnswer, .partitions = {}, .words = words};
  }
  TopicAnswer answer{.kind = Kind::kExists, .partitions = {}, .words = {}};
  const std::span partitions(topic.partitions, static_cast<std::size_t>(topic.partition_cnt));
  for (const auto& partition : partitions) answer.partitions.push_back(partition.id);
  std::sort(answer.partitions.begin(), answer.partitions.end());
  return answer;
}

}  // namespace

KafkaQueries::KafkaQueries(rd_kafka_t* handle, rd_kafka_topic_t* topic, KafkaEvents* events)
    : handle_(handle),
      topic_(topic),
      events_(events),
      name_(rd_kafka_topic_name(topic)),
      bootstrap_servers_(kafka_text(rd_kafka_conf(handle), "bootstrap.servers")) {}

absl::StatusOr<TopicDescription> KafkaQueries::describe(milliseconds timeout) {
  const Deadline deadline(timeout);
  int answers_of_none = 0;
  std::string reason;
  events_->forget_trouble();
  do {
    const TopicAnswer answer = ask_topic(deadline.left(kOneQuestion));
    reason = answer.words;
    switch (answer.kind) {
      case TopicAnswer::Kind::kExists: {
        auto description = ask_offsets_of(answer.partitions, deadline.left());
        if (!absl::IsDeadlineExceeded(description.status())) return description;
        reason = std::string(description.status().message());
        break;
      }
      case TopicAnswer::Kind::kForbidden:
        return not_allowed(name_, answer.words);
      case TopicAnswer::Kind::kNoSuchTopic:
        if (++answers_of_none == 2) return no_such_topic(name_, bootstrap_servers_);
        serve_callbacks(std::min(kBeforeBelievingNoTopic, deadline.left() / 2));
        continue;
      case TopicAnswer::Kind::kNoAnswer:
        break;
    }
    serve_callbacks(deadline.left(kBetweenQuestions));
    if (events_->is_short_of_threads()) return no_threads(events_->last_trouble());
    if (events_->login_failed()) return login_refused(events_->last_trouble());
  } while (!deadline.passed());

  const std::string trouble = events_->last_trouble();
  return absl::DeadlineExceededError(fmt::format(
      "no answer from Kafka at {}: {}", bootstrap_servers_, trouble.empty() ? reason : trouble));
}

TopicAnswer KafkaQueries::ask_topic(milliseconds timeout) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t code = rd_kafka_metadata(handle_, 0, topic_, &metadata, in_ms(timeout));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {
        .kind = TopicAnswer::Kind::kNoAnswer, .partitions = {}, .words = rd_kafka_err2str(code)};
  }
  const std::unique_ptr<const rd_kafka_metadata_t, KafkaDestroy<rd_kafka_metadata_destroy>> owner(
      metadata);
  if (metadata->topic_cnt != 1) {
    return {.kind = TopicAnswer::Kind::kNoAnswer, .partitions = {}, .words = "an empty answer"};
  }
  return read_answer(metadata->topics[0]);
}

absl::StatusOr<TopicDescription> KafkaQueries::ask_offsets_of(const std::vector<PartitionId>& ids,
                                                              milliseconds timeout) {
  const Deadline deadline(timeout);
  const Offsets earliest = ask_offsets(ids, kEarliestTime, deadline.left(kOneQuestion));
  if (!earliest.ok()) return earliest.status();
  const Offsets latest = ask_offsets(ids, kLatestTime, deadline.left(kOneQuestion));
  if (!latest.ok()) return latest.status();
  TopicDescription description{.cluster_id = ask_cluster_id(deadline.left(kOneQuestion)),
                               .partitions = {}};
  for (const auto& [id, offset] : *earliest) {
    // Records may be deleted between the two questions.
    const Offset end = std::max(offset, latest->at(id));
    description.partitions[id] = OffsetRange{.earliest = offset, .latest = end};
  }
  return description;
}

absl::StatusOr<std::map<PartitionId, Offset>> KafkaQueries::ask_earliest(
    const std::vector<PartitionId>& ids, milliseconds timeout) {
  return ask_offsets(ids, kEarliestTime, timeout);
}

absl::StatusOr<OffsetRange> KafkaQueries::ask_range(PartitionId id, milliseconds timeout) {
  const auto description = ask_offsets_of({id}, timeout);
  if (!description.ok()) return description.status();
  return description->partitions.at(id);
}

void KafkaQueries::wake_brokers_of(const std::vector<PartitionId>& ids) {
  if (!ids.empty()) ask_offsets(ids, kLatestTime, kWakingBrokers).IgnoreError();
}

KafkaQueries::Offsets KafkaQueries::ask_offsets(const std::vector<PartitionId>& ids,
                                                Offset special_time, milliseconds timeout) {
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(ids.size())));
  for (const PartitionId id : ids) {
    rd_kafka_topic_partition_list_add(list.get(), name_.c_str(), id)->offset = special_time;
  }
  rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(handle_, list.get(), in_ms(timeout));
  std::map<PartitionId, Offset> offsets;
  for (const auto& entry : std::span(list->elems, static_cast<std::size_t>(list->cnt))) {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = entry.err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && entry.offset < 0) code = RD_KAFKA_RESP_ERR__NO_OFFSET;
    offsets[entry.partition] = entry.offset;
  }
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return offsets;
  if (means_forbidden(code)) return not_allowed(name_, rd_kafka_err2str(code));
  return absl::DeadlineExceededError(
      fmt::format("the offsets of topic {} could not be asked: {}", name_, rd_kafka_err2str(code)));
}

std::string KafkaQueries::ask_cluster_id(milliseconds timeout) {
  char* id = rd_kafka_clusterid(handle_, in_ms(timeout));
  if (id == nullptr) return "";  // brokers before 0.10.1 have none
  std::string copy = id;
  rd_kafka_mem_free(handle_, id);
  return copy;
}

void KafkaQueries::serve_callbacks(milliseconds longest) {
  // Nothing is in this queue but callbacks and errors that concern no partition: each partition has
  // a queue of its own.
  const KafkaMessage error(rd_kafka_consumer_poll(handle_, in_ms(longest)));
}

}  // namespace clicktally
