// Checks I1 and I7 of the accumulator against a slow, obvious count.
#include "aggregate/accumulator.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"

namespace clicktally {
namespace {

const Explain no_words = [](const Record&) { return std::string(); };

RecordChunk chunk_of(PartitionId partition, Offset next, const std::vector<std::string>& values) {
  RecordChunk chunk{.partition = partition, .next_before = next, .next_after = next, .records = {}};
  for (const std::string& value : values) {
    chunk.records.push_back(
        {.offset = chunk.next_after++, .timestamp_ms = 7, .value = value, .tombstone = false});
  }
  return chunk;
}

TEST(AccumulatorTest, DeltasOfSeveralWorkersAddUpToTheObviousCount) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::map<UserKey, std::int64_t> expected;
  std::vector<Accumulator> workers(3);
  std::map<PartitionId, PartitionCounters> counters;
  std::map<PartitionId, Offset> next;
  for (int i = 0; i < 400; ++i) {
    const auto partition = static_cast<PartitionId>(random() % 4);
    std::vector<std::string> values(random() % 20, "x");
    RecordChunk chunk = chunk_of(partition, next[partition], values);
    chunk.gaps = static_cast<std::int64_t>(random() % 2);
    chunk.next_after += chunk.gaps;
    next[partition] = chunk.next_after;
    counters[partition].gaps += chunk.gaps;
    std::vector<Decoded> decoded;
    for (std::size_t r = 0; r < values.size(); ++r) {
      switch (random() % 4) {
        case 0:
          decoded.push_back(Decoded::rejection(RejectionCause::kEmpty));
          ++counters[partition].rejections[1];
          break;
        case 1:
          decoded.push_back(Decoded::other_event());
          ++counters[partition].other_events;
          break;
        default: {
          const UserKey user =
              random() % 9 == 0 ? kNullUser : UserKey{static_cast<std::int32_t>(random())} % 50;
          decoded.push_back(Decoded::click(user));
          ++expected[user];
          ++counters[partition].clicks;
          if (user == kNullUser) ++counters[partition].null_users[0];
        }
      }
    }
    workers[random() % 3].fold(chunk, decoded, no_words);
  }
  std::vector<Deltas> parts;
  for (Accumulator& worker : workers) parts.push_back(worker.take());
  const BatchDeltas batch = merge_deltas(parts);
  std::map<UserKey, std::int64_t> found;
  UserKey before = kNullUser - 1;
  for (const UserClicks& row : batch.changed) {
    EXPECT_GT(row.user, before) << "sorted and unique";
    before = row.user;
    found[row.user] = row.clicks;
  }
  EXPECT_EQ(found, expected);
  for (const auto& [id, partition] : batch.partitions) {
    EXPECT_EQ(partition.next, next[id]);
    EXPECT_EQ(partition.counters, counters[id]);
    EXPECT_EQ(partition.counters.records() + partition.counters.gaps, next[id]);
  }
  for (Accumulator& worker : workers) EXPECT_FALSE(worker.fills(1)) << "taken";
}

TEST(AccumulatorTest, RejectedRecordsAreKeptInOrderAndTheFirstIsCutForTheLog) {
  const Explain explain = [](const Record& record) {
    return "wrong at " + std::to_string(record.offset);
  };
  const std::vector<Decoded> decoded{Decoded::rejection(RejectionCause::kNotJson),
                                     Decoded::other_event(),
                                     Decoded::rejection(RejectionCause::kNotObject)};
  std::vector<Accumulator> workers(2, Accumulator(/*keep_dead_letters=*/true));
  const std::string long_value(100, 'y');
  workers[0].fold(chunk_of(1, 10, {"a", "b", "c"}), decoded, explain);
  workers[1].fold(chunk_of(0, 20, {long_value, "b", "c"}), decoded, explain);
  EXPECT_TRUE(workers[1].fills(100));
  std::vector<Deltas> parts;
  for (Accumulator& worker : workers) parts.push_back(worker.take());
  EXPECT_FALSE(workers[1].fills(1));
  const BatchDeltas batch = merge_deltas(parts);
  ASSERT_EQ(batch.dead_letters.size(), 4U);
  EXPECT_EQ(batch.dead_letters[0], (DeadLetter{.partition = 0,
                                               .offset = 20,
                                               .timestamp_ms = 7,
                                               .cause = RejectionCause::kNotJson,
                                               .detail = "wrong at 20",
                                               .value = long_value}));
  EXPECT_EQ(batch.dead_letters[3].offset, 12);
  EXPECT_EQ(batch.first_rejected->offset, 10);

  Accumulator forgetful(/*keep_dead_letters=*/false);
  forgetful.fold(chunk_of(0, 20, {long_value, "b", "c"}), decoded, explain);
  std::vector<Deltas> part(1);
  part[0] = forgetful.take();
  const BatchDeltas counted = merge_deltas(part);
  EXPECT_TRUE(counted.dead_letters.empty());
  EXPECT_EQ(counted.first_rejected->value, long_value.substr(0, 64));
  EXPECT_EQ(counted.partitions.at(0).counters.rejected(), 2);
}

TEST(AccumulatorTest, TheFingerprintIsThatOfTheLastRecord) {
  Accumulator first, second;
  const std::vector<Decoded> two(2, Decoded::other_event());
  second.fold(chunk_of(0, 2, {"c", "d"}), two, no_words);
  first.fold(chunk_of(0, 0, {"a", "b"}), two, no_words);
  std::vector<Deltas> parts;
  parts.push_back(first.take());
  parts.push_back(second.take());
  const auto last = merge_deltas(parts).partitions.at(0).last;
  EXPECT_EQ(last, (RecordFingerprint{3, 7, hash64("d")}));
}

TEST(AccumulatorTest, TheNextRecordAddsTheBatchToTheLast) {
  CommitRecord last;
  last.batch = 4;
  last.partitions[0] = {.start = 0, .next = 10, .last = {}, .counters = {.clicks = 10}};
  last.digest = digest_of(1, 10);
  BatchDeltas batch;
  batch.changed = {{1, 2}};
  batch.partitions[0] = {
      .next = 12, .last = RecordFingerprint{11, 1, 1}, .counters = {.clicks = 2}};
  batch.partitions[5] = {.next = 9, .last = {}, .counters = {.gaps = 1}};
  const CommitRecord next = next_record(last, batch, {{5, 8}, {6, 3}}, 99);
  EXPECT_EQ(next.batch, 5);
  EXPECT_EQ(next.time_ms, 99);
  EXPECT_EQ(next.digest, digest_of(1, 12));
  EXPECT_EQ(next.partitions.at(0).next, 12);
  EXPECT_EQ(next.partitions.at(0).counters.clicks, 12);
  EXPECT_EQ(next.partitions.at(5).start, 8);
  EXPECT_EQ(next.partitions.at(5).next, 9);
  EXPECT_EQ(next.partitions.at(6).next, 3) << "new, and nothing read of it yet";
}

TEST(AccumulatorTest, ABatchThatReadNothingMovedNothing) {
  Accumulator accumulator;
  std::vector<Deltas> parts;
  parts.push_back(accumulator.take());
  EXPECT_FALSE(merge_deltas(parts).moved());
}

}  // namespace
}  // namespace clicktally
