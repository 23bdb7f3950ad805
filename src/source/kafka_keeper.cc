#include "source/kafka_keeper.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/last_resort.h"
#include "base/log.h"
#include "source/kafka_config.h"
#include "source/kafka_errors.h"
#include "source/kafka_events.h"

namespace clicktally {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kServing{500};
// Also how long the successor of a leader that died silently stays unnoticed: librdkafka by itself
// would learn of it only when its fetch times out.
constexpr seconds kBetweenLooks{2};
constexpr seconds kLookAgain{1};
constexpr milliseconds kOneLook{1000};
constexpr seconds kBetweenStatusLines{10};
constexpr milliseconds kBetweenDoubts{500};
constexpr milliseconds kLastReport{1000};
constexpr milliseconds kRepeatReport{2000};
// Brokers that start or lose a controller may say for a moment that a topic does not exist.
constexpr seconds kBelieveAfter{5};
constexpr int kBelieveTimes = 3;

// Signals are for the thread that main chose.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

std::int64_t seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration_cast<seconds>(std::chrono::steady_clock::now() - then).count();
}

}  // namespace

KafkaKeeper::KafkaKeeper(rd_kafka_t* handle, KafkaQueries* queries, KafkaEvents* events,
                         std::string topic, std::set<PartitionId> known, Hooks hooks)
    : handle_(handle),
      queries_(queries),
      events_(events),
      topic_(std::move(topic)),
      bootstrap_servers_(kafka_text(rd_kafka_conf(handle), "bootstrap.servers")),
      hooks_(std::move(hooks)),
      common_queue_(rd_kafka_queue_get_consumer(handle)),
      known_(std::move(known)),
      next_look_(Clock::now() + kBetweenLooks),
      range_doubts_(queries, topic_),
      thread_([this] {
        const absl::Status whole = status_of_body([this] { run(); });
        if (!whole.ok()) hooks_.fail(whole);
      }) {}

KafkaKeeper::~KafkaKeeper() {
  stop();
}

void KafkaKeeper::wake() {
  rd_kafka_queue_yield(common_queue_.get());
}

void KafkaKeeper::report(const std::map<PartitionId, Offset>& next) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, offset] : next) to_report_[id] = offset;
  }
  wake();
}

std::map<PartitionId, Offset> KafkaKeeper::take_new_partitions() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, offset] : prepared_) known_.insert(id);
  return std::exchange(prepared_, {});
}

void KafkaKeeper::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

void KafkaKeeper::run() {
  block_signals();
  events_->set_connections_quiet(false);
  while (!stopping_) {
    serve(kServing);
    queries_->wake_brokers_of(hooks_.hungry());
    settle_doubts();
    send_report();
    if (events_->take_doubt() || Clock::now() >= next_look_) look_at_topic();
  }
  finish_reports();
}

void KafkaKeeper::serve(milliseconds longest) {
  const KafkaMessage error(rd_kafka_consumer_poll(handle_, static_cast<int>(longest.count())));
  if (error) events_->passing(rd_kafka_err2name(error->err), rd_kafka_message_errstr(error.get()));
  std::array<char, 256> words{};
  if (rd_kafka_fatal_error(handle_, words.data(), words.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    hooks_.fail(absl::UnavailableError(fmt::format(
        "librdkafka gives up reading topic {}: {}; start again", topic_, words.data())));
  }
  if (events_->is_short_of_threads()) hooks_.fail(no_threads(events_->last_trouble()));
}

void KafkaKeeper::settle_doubts() {
  if (Clock::now() < next_doubts_) return;
  for (const PartitionTrouble& trouble : hooks_.doubted()) {
    events_->passing("range",
                     fmt::format("topic {} partition {}: a broker has not offset {}; asking "
                                 "again before that is believed",
                                 topic_, trouble.partition, trouble.offset));
    absl::Status why;
    switch (range_doubts_.ask(trouble, &why)) {
      case RangeDoubts::Verdict::kThere:
        hooks_.resume(trouble.partition);
        break;
      case RangeDoubts::Verdict::kGone:
        hooks_.fail(why);
        break;
      case RangeDoubts::Verdict::kUnknownYet:
        break;
    }
    next_doubts_ = Clock::now() + kBetweenDoubts;
  }
}

void KafkaKeeper::send_report() {
  if (events_->report() == KafkaEvents::Report::kUnderWay) return;
  if (events_->report() == KafkaEvents::Report::kFailed) repeat_failed_report();
  if (Clock::now() < next_report_) return;
  {
    const std::lock_guard lock(mutex_);
    if (to_report_.empty()) return;
    reported_ = std::exchange(to_report_, {});
  }
  const KafkaPartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(reported_.size())));
  for (const auto& [id, offset] : reported_) {
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), id)->offset = offset;
  }
  events_->report_sent();
  const rd_kafka_resp_err_t code = rd_kafka_commit(handle_, list.get(), 1 /* do not wait */);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) events_->report_answered(code);
}

// Otherwise the last report before a quiet time would never arrive.
void KafkaKeeper::repeat_failed_report() {
  const std::lock_guard lock(mutex_);
  if (!reported_.empty()) next_report_ = Clock::now() + kRepeatReport;
  to_report_.merge(reported_);  // a newer offset stays
  reported_.clear();
}

void KafkaKeeper::finish_reports() {
  const Clock::time_point end = Clock::now() + (silent_since_ ? milliseconds(0) : kLastReport);
  const auto due = [this] {
    const std::lock_guard lock(mutex_);
    return !to_report_.empty() || events_->report() == KafkaEvents::Report::kUnderWay;
  };
  while (due() && Clock::now() < end) {
    send_report();
    serve(milliseconds(20));
  }
}

void KafkaKeeper::look_at_topic() {
  const TopicAnswer answer = queries_->ask_topic(kOneLook);
  next_look_ = Clock::now() + kLookAgain;
  if (answer.kind == TopicAnswer::Kind::kNoAnswer) return nobody_answers(answer.words);
  somebody_answers();
  switch (answer.kind) {
    case TopicAnswer::Kind::kExists:
      return topic_exists(answer.partitions);
    case TopicAnswer::Kind::kForbidden:
      return suspect(not_allowed(topic_, answer.words));
    case TopicAnswer::Kind::kNoSuchTopic:
      return suspect(topic_went_away(topic_, "Kafka does not have it any more"));
    case TopicAnswer::Kind::kNoAnswer:
      return;
  }
}

void KafkaKeeper::topic_exists(const std::vector<PartitionId>& partitions) {
  std::vector<PartitionId> fresh;
  std::vector<PartitionId> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const PartitionId id : partitions) {
      if (!known_.contains(id) && !prepared_.contains(id)) fresh.push_back(id);
    }
    std::set_difference(known_.begin(), known_.end(), partitions.begin(), partitions.end(),
                        std::back_inserter(gone));
  }
  if (!gone.empty()) {
    return suspect(topic_went_away(
        topic_, fmt::format("Kafka does not have its partition {} any more", gone.front())));
  }
  suspected_since_.reset();
  suspected_times_ = 0;
  next_look_ = Clock::now() + kBetweenLooks;
  if (!fresh.empty()) prepare_new(fresh);
}

void KafkaKeeper::prepare_new(const std::vector<PartitionId>& fresh) {
  const auto earliest = queries_->ask_earliest(fresh, kOneLook);
  if (!earliest.ok()) {  // they have no leaders yet
    next_look_ = Clock::now() + kLookAgain;
    return;
  }
  const std::lock_guard lock(mutex_);
  prepared_.insert(earliest->begin(), earliest->end());
}

void KafkaKeeper::suspect(absl::Status verdict) {
  const Clock::time_point now = Clock::now();
  if (!suspected_since_) suspected_since_ = now;
  ++suspected_times_;
  if (suspected_times_ >= kBelieveTimes && now - *suspected_since_ >= kBelieveAfter) {
    hooks_.fail(std::move(verdict));
  }
}

void KafkaKeeper::nobody_answers(const std::string& words) {
  const Clock::time_point now = Clock::now();
  if (!silent_since_) silent_since_ = now;
  // A single lost question is no news: it may have gone to the one broker that is away.
  if (++silent_times_ < 2 || now - silence_told_ < kBetweenStatusLines) return;
  silence_told_ = now;
  events_->set_connections_quiet(true);
  const std::string trouble = events_->last_trouble();
  log_warning("Kafka at {} has not answered for {} s: {}; waiting, nothing is lost",
              bootstrap_servers_, std::max<std::int64_t>(1, seconds_since(*silent_since_)),
              trouble.empty() ? words : trouble);
}

void KafkaKeeper::somebody_answers() {
  if (silence_told_ != Clock::time_point{}) {
    log_info("Kafka answers again after {} s", seconds_since(*silent_since_));
  }
  events_->set_connections_quiet(false);
  events_->forget_trouble();
  silent_since_.reset();
  silent_times_ = 0;
  silence_told_ = {};
}

}  // namespace clicktally
