// Checks I9 of the dead letters: the newest stay within the bound, whatever comes.
#include "checkpoint/dead_letter_bound.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/support/fake_count_store.h"

namespace clicktally {
namespace {

DeadLetter letter(PartitionId partition, Offset offset, BatchId batch, std::int64_t time_ms,
                  std::size_t size) {
  return {.partition = partition,
          .offset = offset,
          .timestamp_ms = time_ms,
          .batch = batch,
          .cause = RejectionCause::kNotJson,
          .detail = "",
          .value = std::string(size, 'x')};
}

class DeadLetterBoundTest : public testing::Test {
 protected:
  // A batch that adds these, committed.
  void commit(std::int64_t most_bytes, std::vector<DeadLetter> added) {
    ++record_.batch;
    std::ranges::sort(added, stands_before);
    ASSERT_TRUE(bound_dead_letters(most_bytes, **store_.view(), &record_, &added).ok());
    ASSERT_TRUE(
        store_.commit({.batch = record_.batch, .record = "record", .dead_letters = added}).ok());
    store_.drop_dead_letters_below(dead_letter_floors(record_));
  }
  std::vector<Offset> kept(PartitionId partition) const {
    std::vector<Offset> offsets;
    for (const auto& [place, letter] : state_->dead_letters) {
      if (place.first == partition) offsets.push_back(place.second);
    }
    return offsets;
  }
  void expect_counters_agree_with_the_state() {
    for (const auto& [id, partition] : record_.partitions) {
      DeadLetterCounters found;
      for (const auto& [place, letter] : state_->dead_letters) {
        if (place.first != id) continue;
        ++found.kept;
        found.bytes += letter.bytes();
      }
      EXPECT_EQ(partition.dead_letters.kept, found.kept);
      EXPECT_EQ(partition.dead_letters.bytes, found.bytes);
    }
  }

  std::shared_ptr<FakeState> state_ = std::make_shared<FakeState>();
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  FakeCountStore store_{*disk_, state_, OpenMode::kReadWrite};
  CommitRecord record_;
};

TEST_F(DeadLetterBoundTest, WithinTheBoundAllStay) {
  commit(328, {letter(0, 1, 0, 5, 100), letter(1, 1, 0, 5, 100)});
  EXPECT_EQ(kept(0), (std::vector<Offset>{1}));
  EXPECT_EQ(kept(1), (std::vector<Offset>{1}));
  EXPECT_EQ(record_.partitions[0].dead_letters.dropped, 0);
  expect_counters_agree_with_the_state();
}

TEST_F(DeadLetterBoundTest, TheOldestOfAllPartitionsGoesFirst) {
  commit(600, {letter(0, 1, 0, 50, 136), letter(1, 9, 0, 40, 136)});
  commit(600, {letter(1, 10, 1, 1, 136)});  // its time is older, its batch is not
  commit(600, {letter(2, 4, 2, 99, 136)});
  EXPECT_EQ(kept(0), std::vector<Offset>{1}) << "three of 200 bytes are within 600";
  EXPECT_EQ(kept(1), std::vector<Offset>{10});
  EXPECT_EQ(kept(2), std::vector<Offset>{4});
  EXPECT_EQ(record_.partitions[1].dead_letters.dropped, 1);
  EXPECT_EQ(record_.partitions[1].dead_letters.first, 10);
  expect_counters_agree_with_the_state();
}

TEST_F(DeadLetterBoundTest, ABatchLargerThanTheBoundKeepsItsNewest) {
  commit(200, {letter(0, 1, 0, 1, 36)});
  commit(200, {letter(0, 2, 1, 1, 36), letter(0, 3, 1, 2, 36), letter(0, 4, 1, 3, 36)});
  EXPECT_EQ(kept(0), (std::vector<Offset>{3, 4}));
  EXPECT_EQ(record_.partitions[0].dead_letters.dropped, 2);
  commit(200, {letter(0, 5, 2, 3, 1000)});
  EXPECT_EQ(kept(0), std::vector<Offset>{}) << "one record that alone is too large";
  EXPECT_EQ(record_.partitions[0].dead_letters.dropped, 5);
  EXPECT_EQ(record_.partitions[0].dead_letters.bytes, 0);
}

TEST_F(DeadLetterBoundTest, ManyBatchesKeepExactlyWhatAQueueWould) {
  std::mt19937_64 random(3);
  std::map<PartitionId, Offset> next;
  std::deque<DeadLetter> queue;  // oldest first
  constexpr std::int64_t kMost = 200'000;
  std::int64_t bytes = 0;
  std::int64_t all = 0;
  for (BatchId batch = 0; batch < 60; ++batch) {
    std::vector<DeadLetter> added;
    const std::size_t count = random() % 200;
    for (std::size_t i = 0; i < count; ++i) {
      const auto partition = static_cast<PartitionId>(random() % 3);
      next[partition] += 1 + static_cast<Offset>(random() % 4);
      added.push_back(letter(partition, next[partition], batch, all++, random() % 200));
    }
    for (const DeadLetter& one : added) {
      queue.push_back(one);
      bytes += one.bytes();
    }
    while (bytes > kMost) {
      bytes -= queue.front().bytes();
      queue.pop_front();
    }
    commit(kMost, added);
  }
  std::map<std::pair<PartitionId, Offset>, DeadLetter> expected;
  for (const DeadLetter& one : queue) expected[{one.partition, one.offset}] = one;
  EXPECT_EQ(state_->dead_letters, expected);
  EXPECT_GT(all, static_cast<std::int64_t>(queue.size())) << "some were dropped";
  expect_counters_agree_with_the_state();
}

}  // namespace
}  // namespace clicktally
