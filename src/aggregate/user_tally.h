// Clicks per user, counted by sorting: users are noted as they come, four bytes a click, and every
// 2^20 of them are sorted and summed into a run. Beyond the caches' size this costs a tenth of a
// hash table, in which nearly every click waits for memory; and a commit needs its users sorted
// anyway.
//
// Runs are merged as they come (each at least twice as large as the next), so that what is held
// follows the users and not the clicks. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/user_key.h"

namespace clicktally {

// Sorted by user, each once.
using UserRun = std::vector<UserClicks>;

class UserTally {
 public:
  void add(std::int32_t user) {
    noted_.push_back(user);
    if (noted_.size() == kMostNoted) sum_up();
  }

  // Sums up what is noted.
  void sum_up();

  // Memory held, at most 4 MiB of which sum_up() may free.
  std::size_t bytes() const;

  // Everything, summed up run by run; a user may be in several. The tally is empty afterwards.
  std::vector<UserRun> take();

 private:
  static constexpr std::size_t kMostNoted = std::size_t{1} << 20;

  std::vector<std::int32_t> noted_;
  std::vector<UserRun> runs_;  // the largest first
};

// The sum of all runs.
UserRun merge_runs(std::vector<UserRun> runs);

// Ascending. Least significant digit first, in three passes over 11, 11 and 10 bits (Knuth, The Art
// of Computer Programming 3, 5.2.5); takes as much memory again as `keys`.
void radix_sort(std::vector<std::int32_t>* keys);

}  // namespace clicktally
