#include "aggregate/user_tally.h"

#include <algorithm>
#include <array>
#include <utility>

namespace clicktally {
namespace {

constexpr unsigned kDigitBits = 11;
constexpr std::uint32_t kDigits = 1U << kDigitBits;
constexpr std::size_t kPasses = 3;
// Below this the histograms would cost more than they save.
constexpr std::size_t kFewKeys = 1024;

std::uint32_t digit_of(std::int32_t key, std::size_t pass) {
  const std::uint32_t flipped = static_cast<std::uint32_t>(key) ^ 0x80000000U;  // sorts as a number
  return (flipped >> (kDigitBits * pass)) % kDigits;
}

UserRun run_of(const std::vector<std::int32_t>& sorted) {
  std::size_t users = 1;
  for (std::size_t at = 1; at < sorted.size(); ++at) users += sorted[at] != sorted[at - 1];
  UserRun run;
  run.reserve(users);
  for (std::size_t at = 0; at < sorted.size();) {
    const std::size_t begin = at;
    while (at < sorted.size() && sorted[at] == sorted[begin]) ++at;
    run.push_back({sorted[begin], static_cast<std::int64_t>(at - begin)});
  }
  return run;
}

UserRun merge(const UserRun& left, const UserRun& right) {
  UserRun sum;
  sum.reserve(left.size() + right.size());
  auto a = left.begin();
  auto b = right.begin();
  while (a != left.end() && b != right.end()) {
    // Without branches, which random users would have the processor guess wrongly half the time.
    const bool from_a = a->user <= b->user;
    const bool from_b = b->user <= a->user;
    sum.push_back(
        {from_a ? a->user : b->user, (from_a ? a->clicks : 0) + (from_b ? b->clicks : 0)});
    a += from_a;
    b += from_b;
  }
  sum.insert(sum.end(), a, left.end());
  sum.insert(sum.end(), b, right.end());
  return sum;
}

}  // namespace

void radix_sort(std::vector<std::int32_t>* keys) {
  if (keys->size() < kFewKeys) {
    std::sort(keys->begin(), keys->end());
    return;
  }
  std::array<std::array<std::uint32_t, kDigits>, kPasses> places{};
  for (const std::int32_t key : *keys) {
    for (std::size_t pass = 0; pass < kPasses; ++pass) ++places[pass][digit_of(key, pass)];
  }
  std::vector<std::int32_t> other(keys->size());
  for (std::size_t pass = 0; pass < kPasses; ++pass) {
    auto& place = places[pass];
    if (place[digit_of(keys->front(), pass)] == keys->size()) continue;  // all have this digit
    std::uint32_t next = 0;
    for (std::uint32_t& count : place) next += std::exchange(count, next);
    for (const std::int32_t key : *keys) other[place[digit_of(key, pass)]++] = key;
    keys->swap(other);
  }
}

void UserTally::sum_up() {
  if (noted_.empty()) return;
  radix_sort(&noted_);
  UserRun run = run_of(noted_);
  noted_.clear();
  while (!runs_.empty() && runs_.back().size() < 2 * run.size()) {
    run = merge(runs_.back(), run);
    runs_.pop_back();
  }
  runs_.push_back(std::move(run));
}

std::size_t UserTally::bytes() const {
  std::size_t bytes = noted_.size() * sizeof(std::int32_t);
  for (const UserRun& run : runs_) bytes += run.capacity() * sizeof(UserClicks);
  return bytes;
}

std::vector<UserRun> UserTally::take() {
  sum_up();
  return std::exchange(runs_, {});
}

UserRun merge_runs(std::vector<UserRun> runs) {
  // The two smallest first: so each click is moved as rarely as can be.
  const auto larger = [](const UserRun& a, const UserRun& b) { return a.size() > b.size(); };
  while (runs.size() > 1) {
    std::sort(runs.begin(), runs.end(), larger);
    UserRun sum = merge(runs[runs.size() - 2], runs.back());
    runs.pop_back();
    runs.back() = std::move(sum);
  }
  return runs.empty() ? UserRun{} : std::move(runs.front());
}

}  // namespace clicktally
