// I7 where it is computed: whatever arrives and wherever the limit stands, every offset passed is a
// record or a counted gap, no record is lost, repeated or handed out beyond the limit.
#include "source/offset_track.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

namespace clicktally {
namespace {

using Verdict = OffsetTrack::Verdict;

TEST(OffsetTrack, CountsWhatLiesBetweenRecordsAsGaps) {
  OffsetTrack track(10);
  RecordChunk chunk;
  EXPECT_EQ(track.record(10, &chunk), Verdict::kNext);
  EXPECT_EQ(track.record(14, &chunk), Verdict::kNext);
  EXPECT_EQ(chunk.gaps, 3);
  EXPECT_EQ(track.next(), 15);
}

TEST(OffsetTrack, DropsAndCountsWhatItHasHad) {
  OffsetTrack track(10);
  RecordChunk chunk;
  EXPECT_EQ(track.record(9, &chunk), Verdict::kRepeated);
  EXPECT_EQ(track.record(10, &chunk), Verdict::kNext);
  EXPECT_EQ(track.record(10, &chunk), Verdict::kRepeated);
  EXPECT_EQ(chunk.repeated, 2);
  EXPECT_EQ(chunk.gaps, 0);
  EXPECT_EQ(track.next(), 11);
}

TEST(OffsetTrack, ARecordAtTheLimitStaysAndShowsThatNothingIsLeftBelow) {
  OffsetTrack track(10);
  track.set_limit(20);
  RecordChunk chunk;
  EXPECT_EQ(track.record(20, &chunk), Verdict::kBeyondLimit);
  EXPECT_EQ(track.next(), 20);
  EXPECT_EQ(chunk.gaps, 10);
  track.set_limit(21);
  EXPECT_EQ(track.record(20, &chunk), Verdict::kNext);
  EXPECT_EQ(track.next(), 21);
}

TEST(OffsetTrack, AnEndBehindTheLimitStays) {
  OffsetTrack track(10);
  track.set_limit(12);
  RecordChunk chunk;
  EXPECT_EQ(track.end(15, &chunk), Verdict::kBeyondLimit);
  EXPECT_EQ(track.next(), 12);
  track.set_limit(15);
  EXPECT_EQ(track.end(15, &chunk), Verdict::kNext);
  EXPECT_EQ(track.next(), 15);
  EXPECT_EQ(chunk.gaps, 5);
}

TEST(OffsetTrack, AnEndThatIsOldNewsMovesNothing) {
  OffsetTrack track(10);
  RecordChunk chunk;
  EXPECT_EQ(track.end(4, &chunk), Verdict::kNext);
  EXPECT_EQ(track.next(), 10);
  EXPECT_EQ(chunk.gaps, 0);
}

unsigned seed() {
  const char* given = std::getenv("CLICKTALLY_TEST_SEED");
  return given ? static_cast<unsigned>(std::atol(given)) : std::random_device{}();
}

// A partition is a list of offsets that hold a record. The obvious account of any stretch of it:
struct Stretch {
  std::vector<Offset> records;
  std::int64_t gaps = 0;
};
Stretch obvious(const std::vector<Offset>& partition, Offset from, Offset to) {
  Stretch stretch;
  for (const Offset offset : partition) {
    if (offset >= from && offset < to) stretch.records.push_back(offset);
  }
  stretch.gaps = to - from - static_cast<std::int64_t>(stretch.records.size());
  return stretch;
}

TEST(OffsetTrack, AgreesWithTheObviousAccountForAnyHolesLimitsAndEnds) {
  const unsigned start = seed();
  for (unsigned round = 0; round < 3000; ++round) {
    SCOPED_TRACE("CLICKTALLY_TEST_SEED=" + std::to_string(start + round));
    std::mt19937 random(start + round);
    const auto below = [&](int n) {
      return static_cast<Offset>(random() % static_cast<unsigned>(n));
    };

    // What arrives: records with holes, sometimes an old one again, then the end.
    struct Item {
      bool is_end;
      Offset offset;
    };
    const Offset first = below(5);
    std::vector<Offset> partition;
    std::vector<Item> items;
    Offset end = first;
    for (Offset n = below(30); n > 0; --n) {
      end += below(3) == 0 ? below(6) : 0;
      if (below(10) == 0 && !partition.empty()) items.push_back({false, partition.back()});
      partition.push_back(end);
      items.push_back({false, end++});
      if (below(8) == 0) items.push_back({true, end});
    }
    end += below(4);
    items.push_back({true, end});

    OffsetTrack track(first);
    RecordChunk chunk;
    std::vector<Offset> got;
    std::size_t at = 0;
    for (Offset limit = first; track.next() < end; limit += below(7)) {
      track.set_limit(limit);
      while (at < items.size() && track.next() < limit) {
        const Item& item = items[at];
        const Verdict verdict =
            item.is_end ? track.end(item.offset, &chunk) : track.record(item.offset, &chunk);
        if (verdict == Verdict::kBeyondLimit) break;
        if (verdict == Verdict::kNext && !item.is_end) got.push_back(item.offset);
        ++at;
      }
      ASSERT_LE(track.next(), std::max(limit, first));
      const Stretch wanted = obvious(partition, first, track.next());
      ASSERT_EQ(got, wanted.records);
      ASSERT_EQ(chunk.gaps, wanted.gaps);
    }
    ASSERT_EQ(got, partition);
  }
}

}  // namespace
}  // namespace clicktally
