// Reading many rows: all of them beside one another, one after the other, or a sample.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

// Every row, in two parts that are scanned at the same time. `visit` is called by one thread for
// each part, in order of users within the part; false ends that part.
inline constexpr std::size_t kParts = 2;
// What the two threads write at every row must not share a line of the cache.
inline constexpr std::size_t kCacheLineBytes = 64;
absl::Status scan_in_parts(const CountStore& store,
                           const std::function<bool(std::size_t part, const UserCount&)>& visit);

// Rows one after the other, for a walk over two states at once. Constant memory.
class RowCursor {
 public:
  // Borrows `view`.
  explicit RowCursor(const CountView& view) : view_(view) {}
  // The row to look at; null at the end, or when reading failed.
  absl::StatusOr<const UserCount*> peek();
  void next() { ++at_; }

 private:
  const CountView& view_;
  std::vector<UserCount> rows_;
  std::size_t at_ = 0;
  UserKey from_ = kFirstUser;
  bool ended_ = false;
};

// What a scan of every row finds. It proves the digest.
struct RowSums {
  std::int64_t users = 0;
  std::int64_t clicks = 0;
  std::int64_t null_clicks = 0;
  Digest digest = 0;

  void add(const UserCount& count);
  // kDataLoss if `record` says something else.
  absl::Status check(const CommitRecord& record) const;
};

// How clicks spread over users: how many users have 1 click, 2 to 3, 4 to 7, ...
struct Spread {
  std::map<int, std::int64_t> users;  // by the number of binary digits of the clicks
  std::int64_t looked_at = 0;
  bool of_all = false;  // else of a sample

  void add(std::int64_t clicks);
};

// All rows where there are few; otherwise a sample, spread evenly over the state's bytes and,
// within an even part, drawn by `seed`.
absl::StatusOr<Spread> sample_spread(const CountStore& store, const CountView& view,
                                     std::int64_t most_users, std::uint64_t seed);
// A picture of it, a line for each power of two.
std::string picture_of(const Spread& spread, std::uint64_t seed);

}  // namespace clicktally
