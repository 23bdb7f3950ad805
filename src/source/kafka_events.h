// What librdkafka says beside records: its log, errors that belong to no partition, and the answers
// to our reports to the consumer group. It outlives the handle that it is attached to.
//
// Threads: everything may be called by any thread; librdkafka calls in from its own.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "source/kafka_handles.h"

namespace clicktally {

class KafkaEvents {
 public:
  using Clock = std::chrono::steady_clock;

  // Makes `conf` call this object, and keeps the names that its lines speak of.
  void attach(rd_kafka_conf_t* conf);

  // The last trouble with a connection, in librdkafka's words; empty if there was none since
  // forget_trouble(). Also whether it was a refused login or a failed TLS handshake.
  std::string last_trouble() const;
  bool login_failed() const;
  void forget_trouble();
  // Whether the system refused librdkafka a thread: a broker stays without one for ever.
  bool is_short_of_threads() const { return short_of_threads_; }

  // While it is on, troubles with connections are not logged one by one: somebody else tells of
  // them. On at first, for describe() puts them into its answer.
  void set_connections_quiet(bool quiet) { connections_quiet_ = quiet; }

  // True once after something was said that makes us doubt that topic and brokers are still there.
  bool take_doubt() { return doubt_.exchange(false); }
  void raise_doubt() { doubt_ = true; }

  // A passing trouble that a person may want to know of: at most one line in ten seconds for each
  // kind (`what`).
  void passing(std::string_view what, std::string_view line);

  // Reports to the group: at most one is under way. Failures are logged once they have gone on for
  // a while (a new group takes seconds to find its coordinator), at most once a minute.
  enum class Report { kNone, kUnderWay, kFailed };
  Report report() const { return report_; }
  void report_sent() { report_ = Report::kUnderWay; }
  void report_answered(rd_kafka_resp_err_t code);

 private:
  struct Told {
    Clock::time_point last{};
    std::int64_t unsaid = 0;
  };

  void log(int level, std::string_view facility, std::string_view line);
  void error(rd_kafka_resp_err_t code, std::string_view words);
  // Whether `what` may be logged now; counts it if not. The count of those left out goes to
  // `unsaid`.
  bool may_tell(std::string_view what, Clock::duration interval, std::int64_t* unsaid);

  std::string group_;
  bool show_debug_ = false;
  std::atomic<bool> connections_quiet_ = true;
  std::atomic<bool> doubt_ = false;
  std::atomic<bool> short_of_threads_ = false;
  std::atomic<Report> report_ = Report::kNone;

  mutable std::mutex mutex_;
  std::string trouble_;  // guarded by mutex_, as the rest
  bool login_failed_ = false;
  std::map<std::string, Told, std::less<>> told_;
  std::optional<Clock::time_point> reports_fail_since_;
};

}  // namespace clicktally
