// The thread that looks after a running source: it serves librdkafka's callbacks, wakes brokers for
// hungry partitions, settles whether an offset is really out of range, sends reports to the
// consumer group, looks every few seconds whether the topic has got partitions or is gone, and says
// in one line every ten seconds when no broker answers. It never blocks a worker, nor the thread
// that rules the source.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "source/kafka_handles.h"
#include "source/kafka_queries.h"
#include "source/range_doubts.h"
#include "source/source.h"

namespace clicktally {

class KafkaKeeper {
 public:
  struct Hooks {
    // Partitions whose queues run dry, see KafkaPartition.
    std::function<std::vector<PartitionId>()> hungry;
    // Partitions that rest because a broker has not their offset, and how one goes on.
    std::function<std::vector<PartitionTrouble>()> doubted;
    std::function<void(PartitionId)> resume;
    // The job cannot go on.
    std::function<void(absl::Status)> fail;
  };

  // Starts the thread. `known` are the partitions that are read from the start. The pointers must
  // outlive this object.
  KafkaKeeper(rd_kafka_t* handle, KafkaQueries* queries, KafkaEvents* events, std::string topic,
              std::set<PartitionId> known, Hooks hooks);
  ~KafkaKeeper();  // stops

  // There is something to do at once. Any thread.
  void wake();
  // Replaces a report that was not sent yet.
  void report(const std::map<PartitionId, Offset>& next);
  // New partitions and where they begin; from now on they are known.
  std::map<PartitionId, Offset> take_new_partitions();
  // Ends the thread; a report that is due gets a second to arrive.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void serve(std::chrono::milliseconds longest);
  void send_report();
  void repeat_failed_report();
  void finish_reports();
  void settle_doubts();
  void look_at_topic();
  void topic_exists(const std::vector<PartitionId>& partitions);
  void prepare_new(const std::vector<PartitionId>& fresh);
  void suspect(absl::Status verdict);
  void nobody_answers(const std::string& words);
  void somebody_answers();

  rd_kafka_t* const handle_;
  KafkaQueries* const queries_;
  KafkaEvents* const events_;
  const std::string topic_;
  const std::string bootstrap_servers_;
  const Hooks hooks_;
  const KafkaQueue common_queue_;

  std::mutex mutex_;
  std::set<PartitionId> known_;             // guarded by mutex_, as the next two
  std::map<PartitionId, Offset> prepared_;  // new, and waiting to be taken
  std::map<PartitionId, Offset> to_report_;

  // The thread's own.
  Clock::time_point next_look_;
  std::map<PartitionId, Offset> reported_;  // the last report that was sent
  Clock::time_point next_report_{};
  RangeDoubts range_doubts_;
  Clock::time_point next_doubts_{};
  std::optional<Clock::time_point> suspected_since_;
  int suspected_times_ = 0;
  std::optional<Clock::time_point> silent_since_;
  int silent_times_ = 0;
  Clock::time_point silence_told_{};

  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace clicktally
