// SIGINT and SIGTERM, turned into one flag; SIGUSR1 into another. Made once, by main, before any
// other thread, so that every thread inherits the blocked signals and none is interrupted.
//
// The first signal raises the flag. If the program is still there `patience` later, or at a second
// signal, the process ends at once with the exit code of kCancelled: the checkpoint is whole at any
// moment, so this loses nothing that was shown. Signals within 300 ms of the first are taken for
// the first: timeout(1) and some supervisors send one to the process and one to its group.
// SIGUSR1 asks for a snapshot, as often as it comes; whoever takes it lowers the flag.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace clicktally {

class StopSignals {
 public:
  explicit StopSignals(std::chrono::milliseconds patience);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  const std::atomic<bool>& flag() const { return flag_; }
  std::atomic<bool>& snapshot_wanted() { return snapshot_wanted_; }

 private:
  void watch(std::chrono::milliseconds patience);

  std::atomic<bool> flag_{false};
  std::atomic<bool> snapshot_wanted_{false};
  int signal_fd_ = -1;
  int done_fd_ = -1;
  std::thread watcher_;
};

}  // namespace clicktally
