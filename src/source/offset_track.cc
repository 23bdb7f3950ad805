#include "source/offset_track.h"

#include <algorithm>

namespace clicktally {

OffsetTrack::Verdict OffsetTrack::record(Offset offset, RecordChunk* chunk) {
  if (offset < next_) {
    ++chunk->repeated;
    return Verdict::kRepeated;
  }
  skip_to(std::min(offset, limit_), chunk);
  if (offset >= limit_) return Verdict::kBeyondLimit;
  next_ = offset + 1;
  return Verdict::kNext;
}

OffsetTrack::Verdict OffsetTrack::end(Offset offset, RecordChunk* chunk) {
  skip_to(std::min(offset, limit_), chunk);
  return offset > limit_ ? Verdict::kBeyondLimit : Verdict::kNext;
}

void OffsetTrack::skip_to(Offset offset, RecordChunk* chunk) {
  if (offset <= next_) return;
  chunk->gaps += offset - next_;
  next_ = offset;
}

}  // namespace clicktally
