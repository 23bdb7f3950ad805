// Whether an offset that a broker called out of range is really gone.
//
// It need not be. A broker that slept through an election (paused, cut off) takes itself for the
// leader until it hears of the next one, and librdkafka 2.0.2, which compares no leader epochs, may
// turn back to it. Such a broker lacks records that were read elsewhere. A new leader also knows
// for a moment less of what is committed than the old one did. Both pass in seconds. So an offset
// beyond the end is given up only after several brokers' answers over ten seconds; one before the
// beginning after two answers, for deleted records do not come back.
//
// Threads: one.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "source/kafka_errors.h"
#include "source/kafka_queries.h"

namespace clicktally {

class RangeDoubts {
 public:
  enum class Verdict { kThere, kUnknownYet, kGone };

  // `queries` must outlive this object.
  RangeDoubts(KafkaQueries* queries, std::string topic);

  // Asks once; bounded to about two seconds. With kGone, `why` is what ends the job.
  Verdict ask(const PartitionTrouble& trouble, absl::Status* why);

 private:
  using Clock = std::chrono::steady_clock;
  struct Doubt {
    Clock::time_point since;
    int answers = 0;
  };

  KafkaQueries* const queries_;
  const std::string topic_;
  std::map<PartitionId, Doubt> doubts_;
};

}  // namespace clicktally
