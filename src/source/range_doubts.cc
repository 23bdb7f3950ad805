#include "source/range_doubts.h"

#include <utility>

namespace clicktally {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kOneQuestion{1000};

struct Belief {
  int answers;
  seconds time;
};
constexpr Belief kBeforeTheBeginning{.answers = 2, .time = seconds(0)};
constexpr Belief kBeyondTheEnd{.answers = 5, .time = seconds(10)};

}  // namespace

RangeDoubts::RangeDoubts(KafkaQueries* queries, std::string topic)
    : queries_(queries), topic_(std::move(topic)) {}

RangeDoubts::Verdict RangeDoubts::ask(const PartitionTrouble& trouble, absl::Status* why) {
  Doubt& doubt = doubts_.try_emplace(trouble.partition, Doubt{.since = Clock::now()}).first->second;
  // Asking for the topic first makes librdkafka look for the leader anew.
  if (queries_->ask_topic(kOneQuestion).kind != TopicAnswer::Kind::kExists) {
    return Verdict::kUnknownYet;
  }
  const auto range = queries_->ask_range(trouble.partition, kOneQuestion);
  if (!range.ok()) return Verdict::kUnknownYet;
  if (trouble.offset >= range->earliest && trouble.offset <= range->latest) {
    doubts_.erase(trouble.partition);
    return Verdict::kThere;
  }
  const Belief& belief = trouble.offset < range->earliest ? kBeforeTheBeginning : kBeyondTheEnd;
  if (++doubt.answers < belief.answers || Clock::now() - doubt.since < belief.time) {
    return Verdict::kUnknownYet;
  }
  *why = out_of_range(topic_, trouble, *range);
  return Verdict::kGone;
}

}  // namespace clicktally
