// How far one partition was read, and what became of every offset on the way: handed out as a
// record, a counted gap, or not reached yet because of the limit (I7). It knows no Kafka library.
#pragma once

#include <limits>

#include "model/record.h"

namespace clicktally {

class OffsetTrack {
 public:
  static constexpr Offset kNoLimit = std::numeric_limits<Offset>::max();

  enum class Verdict {
    kNext,         // hand it out (a record), or it is dealt with (an end)
    kRepeated,     // below next: drop it
    kBeyondLimit,  // keep it until the limit is raised
  };

  explicit OffsetTrack(Offset next) : next_(next) {}

  Offset next() const { return next_; }
  Offset limit() const { return limit_; }
  void set_limit(Offset limit) { limit_ = limit; }

  // A record arrived. Moves next behind it, or up to the limit if it lies at or beyond that:
  // offsets arrive in order, so nothing else can come in between. Counts gaps and repeats into the
  // chunk.
  Verdict record(Offset offset, RecordChunk* chunk);
  // The partition ends before `offset` for now. Moves next there, or up to the limit.
  Verdict end(Offset offset, RecordChunk* chunk);

 private:
  void skip_to(Offset offset, RecordChunk* chunk);

  Offset next_;
  Offset limit_ = kNoLimit;
};

}  // namespace clicktally
