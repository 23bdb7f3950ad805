// A gate between the workers and the ruling thread. Workers pass through it for each chunk; the
// ruler closes it for a moment, and while it is closed no chunk is half folded: what it sees then
// is one consistent cut through all partitions.
#pragma once

#include <condition_variable>
#include <mutex>

namespace clicktally {

class Gate {
 public:
  // A worker's passage; waits while the gate is closed.
  class Passage {
   public:
    explicit Passage(Gate& gate) : gate_(gate) {
      std::unique_lock lock(gate_.mutex_);
      gate_.opened_.wait(lock, [&] { return !gate_.closed_; });
      ++gate_.inside_;
    }
    ~Passage() {
      const std::lock_guard lock(gate_.mutex_);
      if (--gate_.inside_ == 0) gate_.emptied_.notify_one();
    }
    Passage(const Passage&) = delete;
    Passage& operator=(const Passage&) = delete;

   private:
    Gate& gate_;
  };

  // The ruler's: from construction on, nobody is inside until it is destroyed.
  class Closed {
   public:
    explicit Closed(Gate& gate) : gate_(gate) {
      std::unique_lock lock(gate_.mutex_);
      gate_.closed_ = true;
      gate_.emptied_.wait(lock, [&] { return gate_.inside_ == 0; });
    }
    ~Closed() {
      const std::lock_guard lock(gate_.mutex_);
      gate_.closed_ = false;
      gate_.opened_.notify_all();
    }
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;

   private:
    Gate& gate_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  std::condition_variable emptied_;
  bool closed_ = false;
  int inside_ = 0;
};

}  // namespace clicktally
