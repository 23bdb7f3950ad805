#include "source/kafka_events.h"

#include "base/log.h"
#include "base/text.h"
#include "source/kafka_config.h"

namespace clicktally {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// syslog's levels, which librdkafka uses.
constexpr int kSyslogWarning = 4;
constexpr int kSyslogNotice = 5;
constexpr int kSyslogDebug = 7;

constexpr seconds kReportsMayFail{20};

bool is_about_connections(std::string_view facility) {
  return facility == "FAIL" || facility == "ERROR" || facility == "REQTMOUT";
}

std::string and_more(std::int64_t unsaid) {
  return unsaid == 0 ? "" : fmt::format(" (and {} more like it)", unsaid);
}

}  // namespace

void KafkaEvents::attach(rd_kafka_conf_t* conf) {
  group_ = kafka_text(conf, "group.id");
  show_debug_ = !kafka_text(conf, "debug").empty();
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_log_cb(
      conf, [](const rd_kafka_t* handle, int level, const char* facility, const char* line) {
        // There is no handle yet while librdkafka judges its configuration.
        auto* events = handle ? static_cast<KafkaEvents*>(rd_kafka_opaque(handle)) : nullptr;
        if (events != nullptr) events->log(level, facility, line);
      });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int code, const char* words, void* opaque) {
    static_cast<KafkaEvents*>(opaque)->error(static_cast<rd_kafka_resp_err_t>(code), words);
  });
  rd_kafka_conf_set_offset_commit_cb(
      conf, [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t*,
               void* opaque) { static_cast<KafkaEvents*>(opaque)->report_answered(code); });
}

std::string KafkaEvents::last_trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

bool KafkaEvents::login_failed() const {
  const std::lock_guard lock(mutex_);
  return login_failed_;
}

void KafkaEvents::forget_trouble() {
  const std::lock_guard lock(mutex_);
  trouble_.clear();
  login_failed_ = false;
}

void KafkaEvents::passing(std::string_view what, std::string_view line) {
  std::int64_t unsaid = 0;
  if (may_tell(what, seconds(10), &unsaid)) log_warning("Kafka: {}{}", line, and_more(unsaid));
}

void KafkaEvents::report_answered(rd_kafka_resp_err_t code) {
  const bool failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
  report_ = failed ? Report::kFailed : Report::kNone;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (!failed) reports_fail_since_.reset();
    if (failed && !reports_fail_since_) reports_fail_since_ = now;
    if (!failed || now - *reports_fail_since_ < kReportsMayFail) return;
  }
  std::int64_t unsaid = 0;
  if (!may_tell("report", minutes(1), &unsaid)) return;
  log_warning(
      "Kafka: could not tell group {} how far the checkpoint is: {}{}; tools show an old lag, the "
      "counts are right",
      group_, rd_kafka_err2str(code), and_more(unsaid));
}

void KafkaEvents::log(int level, std::string_view facility, std::string_view line) {
  if (level >= kSyslogDebug && show_debug_) return log_info("Kafka: {}: {}", facility, line);
  const bool hidden = is_about_connections(facility) && connections_quiet_;
  if (level > kSyslogNotice || hidden) return log_debug("Kafka: {}: {}", facility, line);
  std::int64_t unsaid = 0;
  if (!may_tell(facility, seconds(10), &unsaid)) return;
  const LogLevel shown = level <= kSyslogWarning ? LogLevel::kWarning : LogLevel::kInfo;
  log_line(shown, fmt::format("Kafka: {}{}", line, and_more(unsaid)));
}

// Also called by a worker that takes records: librdkafka puts some errors of a topic into the
// queues of its partitions, and hands them to this callback rather than to the worker.
void KafkaEvents::error(rd_kafka_resp_err_t code, std::string_view words) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      raise_doubt();
      return;
    default:
      break;
  }
  const std::lock_guard lock(mutex_);
  // What follows tells of librdkafka's inside.
  trouble_ = one_line(words.substr(0, words.find(" (after ")));
  if (code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) short_of_threads_ = true;
  if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL) {
    login_failed_ = true;
  }
}

bool KafkaEvents::may_tell(std::string_view what, Clock::duration interval, std::int64_t* unsaid) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  const auto [at, first] = told_.try_emplace(std::string(what));
  if (!first && now - at->second.last < interval) {
    ++at->second.unsaid;
    return false;
  }
  *unsaid = at->second.unsaid;
  at->second = Told{.last = now, .unsaid = 0};
  return true;
}

}  // namespace clicktally
