// Where committed batches are shown. A sink is handed a batch after its commit, never before, and
// N+1 is committed only after N was handed to every sink (I10).
//
// show() is called from one thread. A batch can be handed in again after a crash: with the same
// epoch, id and digest it is the same batch, to the byte; a sink that can tell drops it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "model/commit_record.h"
#include "model/user_key.h"

namespace clicktally {

// The rows of a batch, in order of the user, NULL first. `rows` holds as many as the sink asked
// for; `more` says that the batch has others.
struct BatchRows {
  const CommitRecord* record = nullptr;  // borrowed for the call
  std::span<const UserClicks> rows;
  bool more = false;
};

class Sink {
 public:
  virtual ~Sink() = default;
  // How many rows of a batch the sink wants to see.
  virtual std::int64_t rows_wanted() const = 0;
  // Called once, before the first batch.
  virtual absl::Status begin(std::string_view topic) = 0;
  // kAborted when the output is closed, or blocked while the program was told to stop.
  virtual absl::Status show(const BatchRows& batch) = 0;
};

}  // namespace clicktally
