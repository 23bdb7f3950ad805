#include "pipeline/offset_quota.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace clicktally {
namespace {

std::int64_t sum_of(const std::map<PartitionId, std::int64_t>& shares) {
  std::int64_t sum = 0;
  for (const auto& [id, share] : shares) sum += share;
  return sum;
}

TEST(OffsetQuotaTest, SharesAreInProportionToTheBacklog) {
  const auto shares = share_quota(103, {{0, 1000}, {1, 3000}, {2, 6000}}, 0);
  EXPECT_NEAR(static_cast<double>(shares.at(0)), 11, 1);
  EXPECT_NEAR(static_cast<double>(shares.at(1)), 31, 1);
  EXPECT_NEAR(static_cast<double>(shares.at(2)), 61, 1);
}

TEST(OffsetQuotaTest, ASmallBacklogIsNotStarvedByAHugeOne) {
  const auto shares =
      share_quota(10, {{0, 1}, {1, std::numeric_limits<std::int64_t>::max() / 2}}, 0);
  EXPECT_EQ(shares.at(0), 1);
  EXPECT_EQ(shares.at(1), 9);
}

TEST(OffsetQuotaTest, AQuotaBelowTheNumberOfPartitionsServesEachInTurn) {
  std::map<PartitionId, std::int64_t> served;
  for (std::int64_t batch = 0; batch < 5; ++batch) {
    for (const auto& [id, share] :
         share_quota(1, {{0, 9}, {1, 9}, {2, 9}, {3, 9}, {4, 9}}, batch)) {
      served[id] += share;
    }
  }
  for (const auto& [id, count] : served) EXPECT_EQ(count, 1) << id;
}

TEST(OffsetQuotaTest, WhatTheBacklogsDoNotNeedIsSharedForRecordsYetToCome) {
  const auto shares = share_quota(10, {{0, 0}, {1, 2}}, 0);
  EXPECT_EQ(shares.at(0), 4);
  EXPECT_EQ(shares.at(1), 6);
}

TEST(OffsetQuotaTest, SharesAlwaysAddUpToTheQuota) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const auto quota = static_cast<std::int64_t>(random() % 1000);
    std::map<PartitionId, std::int64_t> backlog;
    const auto partitions = 1 + static_cast<PartitionId>(random() % 9);
    for (PartitionId id = 0; id < partitions; ++id) {
      backlog[id] = static_cast<std::int64_t>(random() % (random() % 2 ? 3 : 100000));
    }
    const auto shares = share_quota(quota, backlog, i);
    ASSERT_EQ(sum_of(shares), quota);
    for (const auto& [id, share] : shares) ASSERT_GE(share, 0);
  }
}

}  // namespace
}  // namespace clicktally
