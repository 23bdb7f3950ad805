// A bell for idle workers: rung by librdkafka's threads when a queue gets its first record, and by
// a worker that leaves work behind.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace clicktally {

class WakeUp {
 public:
  // Lets one wait() return: one that is under way, or else the next.
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      // More unheard rings than workers would only make later waits return for nothing.
      if (rings_ < kMost) ++rings_;
    }
    rung_.notify_one();
  }

  // From now on every wait returns at once.
  void ring_for_ever() {
    {
      const std::lock_guard lock(mutex_);
      for_ever_ = true;
    }
    rung_.notify_all();
  }

  void wait(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    rung_.wait_for(lock, longest, [this] { return rings_ > 0 || for_ever_; });
    if (rings_ > 0) --rings_;
  }

 private:
  static constexpr int kMost = 16;

  std::mutex mutex_;
  std::condition_variable rung_;
  int rings_ = 0;
  bool for_ever_ = false;
};

}  // namespace clicktally
