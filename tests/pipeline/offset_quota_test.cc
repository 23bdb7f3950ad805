#include "pipeline/offset_quota.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace clicktally {
namespace {

std::int64_t sum_of(const std::map<PartitionId, std::int64_t>& shares) {
  std::int64_t sum = 0;
  for (const auto& [id, share] : shares) sum += share;
  return sum;
}

// A batch of which nothing is read yet.
std::map<PartitionId, std::int64_t> share_at_the_start(
    std::int64_t quota, const std::map<PartitionId, std::int64_t>& backlog, std::int64_t turn) {
  std::map<PartitionId, BatchProgress> partitions;
  for (const auto& [id, waiting] : backlog) partitions[id] = {.read = 0, .backlog = waiting};
  return share_quota(quota, partitions, turn);
}

TEST(OffsetQuotaTest, SharesAreInProportionToTheBacklog) {
  const auto shares = share_at_the_start(103, {{0, 1000}, {1, 3000}, {2, 6000}}, 0);
  EXPECT_NEAR(static_cast<double>(shares.at(0)), 11, 1);
  EXPECT_NEAR(static_cast<double>(shares.at(1)), 31, 1);
  EXPECT_NEAR(static_cast<double>(shares.at(2)), 61, 1);
}

TEST(OffsetQuotaTest, ASmallBacklogIsNotStarvedByAHugeOne) {
  const auto shares =
      share_at_the_start(10, {{0, 1}, {1, std::numeric_limits<std::int64_t>::max() / 2}}, 0);
  EXPECT_EQ(shares.at(0), 1);
  EXPECT_EQ(shares.at(1), 9);
}

TEST(OffsetQuotaTest, AQuotaBelowTheNumberOfPartitionsServesEachInTurn) {
  std::map<PartitionId, std::int64_t> served;
  for (std::int64_t batch = 0; batch < 5; ++batch) {
    for (const auto& [id, share] :
         share_at_the_start(1, {{0, 9}, {1, 9}, {2, 9}, {3, 9}, {4, 9}}, batch)) {
      served[id] += share;
    }
  }
  for (const auto& [id, count] : served) EXPECT_EQ(count, 1) << id;
}

TEST(OffsetQuotaTest, WhatTheBacklogsDoNotNeedIsSharedForRecordsYetToCome) {
  const auto shares = share_at_the_start(10, {{0, 0}, {1, 2}}, 0);
  EXPECT_EQ(shares.at(0), 4);
  EXPECT_EQ(shares.at(1), 6);
}

TEST(OffsetQuotaTest, APartitionThatIsSlowToAnswerKeepsItsPart) {
  // The first has read its 90 and the third its 1; whoever shares anew meanwhile gives the same.
  const std::map<PartitionId, std::int64_t> parts = {{0, 90}, {1, 9}, {2, 1}};
  EXPECT_EQ(share_quota(100, {{0, {0, 900}}, {1, {0, 90}}, {2, {0, 10}}}, 0), parts);
  EXPECT_EQ(share_quota(100, {{0, {90, 810}}, {1, {0, 90}}, {2, {1, 9}}}, 0), parts);
}

TEST(OffsetQuotaTest, WhatWasReadBeforeOthersCameStaysAndTheRestIsTheirs) {
  const auto shares = share_quota(100, {{0, {80, 0}}, {1, {0, 400}}, {2, {0, 400}}}, 0);
  EXPECT_EQ(shares.at(0), 80);
  EXPECT_EQ(shares.at(1), 10);
  EXPECT_EQ(shares.at(2), 10);
}

TEST(OffsetQuotaTest, SharesAlwaysAddUpToTheQuotaAndNeverTakeBackWhatWasRead) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const auto quota = static_cast<std::int64_t>(random() % 1000);
    std::map<PartitionId, BatchProgress> partitions;
    std::int64_t read = 0;
    const auto count = 1 + static_cast<PartitionId>(random() % 9);
    for (PartitionId id = 0; id < count; ++id) {
      partitions[id] = {
          .read = static_cast<std::int64_t>(random() % 3 ? 0 : random() % 300),
          .backlog = static_cast<std::int64_t>(random() % (random() % 2 ? 3 : 100000))};
      read += partitions[id].read;
    }
    const auto shares = share_quota(quota, partitions, i);
    ASSERT_EQ(sum_of(shares), std::max(quota, read));
    for (const auto& [id, share] : shares) ASSERT_GE(share, partitions[id].read);
  }
}

}  // namespace
}  // namespace clicktally
