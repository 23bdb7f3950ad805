// What a correct job must answer for the events that were sent: clicks per user, and the file they
// are kept in. The file is, byte for byte, what `clicktally-inspect export --format csv` prints:
//
//   user_id,total_clicks      a header
//   ,12                       the NULL group first, as an empty field
//   1001,2                    then by user_id; only users with a click
//
// For one thread. Errors name the file and the line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/user_key.h"

namespace clicktally {

class ClickTruth {
 public:
  void add(UserKey user, std::int64_t clicks = 1) { clicks_[user] += clicks; }
  void add_all(const ClickTruth& other);

  std::size_t users() const { return clicks_.size(); }
  std::int64_t clicks_of(UserKey user) const;

  // Strict: a line that this class would not have written is an error.
  static absl::StatusOr<ClickTruth> load(const std::string& path);

  // Replaces `path` at once: it holds the old bytes or all of the new ones.
  absl::Status save(const std::string& path) const;

 private:
  absl::flat_hash_map<UserKey, std::int64_t> clicks_;
};

}  // namespace clicktally
