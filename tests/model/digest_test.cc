// The part of I4 that is arithmetic. The values were computed with another program (Python's
// integers and its xxhash module).
#include "model/digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"

namespace clicktally {
namespace {

std::string hex_of(const std::vector<UserClicks>& rows) {
  return to_hex(digest_of(rows));
}

TEST(Digest, ValuesAreThoseOfTheFormatForEver) {
  EXPECT_EQ(hex_of({}), std::string(32, '0'));
  EXPECT_EQ(hex_of({{kNullUser, 1}}), "a0c10d2277ba266928285bb510b8b33a");
  EXPECT_EQ(hex_of({{-2147483648, 1}}), "bb9b0f02d07dd32fcfb61a79225f6c45");
  EXPECT_EQ(hex_of({{1001, 1}}), "2628809be1f5d6a388981df751be329d");
  EXPECT_EQ(hex_of({{1001, 2}, {1003, 1}}), "da1e8fa6d94d813ca34219c401db7a4e");
  EXPECT_EQ(hex_of({{kNullUser, 7},
                    {-2147483648, std::numeric_limits<std::int64_t>::max()},
                    {1001, 2},
                    {2147483647, 1}}),
            "7b486282e849eafc298d802e256bc81b");
}

TEST(Digest, ANegativeCorrectionIsTheExactOppositeOfThePositiveOne) {
  EXPECT_EQ(hex_of({{1001, -2}}), "b3aefec83c1452b8eecfc4115c839ac6");
  EXPECT_EQ(hex_of({{5, std::numeric_limits<std::int64_t>::min()}}),
            "796fa77be75b808c8000000000000000");
  for (const std::int64_t clicks : {std::int64_t{1}, std::int64_t{123'456'789'012}}) {
    EXPECT_EQ(digest_of(7, clicks) + digest_of(7, -clicks), Digest{0});
  }
}

TEST(Digest, I4_DeltasAddUpToTheDigestOfTheSumsInAnyOrderAndSplit) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<UserClicks> sums;
  for (int i = 0; i < 500; ++i) sums.push_back({static_cast<std::int32_t>(random()), 0});
  sums.push_back({kNullUser, 0});
  Digest running = 0;
  std::vector<UserClicks> file;
  for (int i = 0; i < 20'000; ++i) {
    UserClicks& sum = sums[random() % sums.size()];
    const std::int64_t delta = static_cast<std::int64_t>(random() % 1000) - 300;
    sum.clicks += delta;
    file.push_back({sum.user, delta});
    if (random() % 100 == 0) {
      running += digest_of(file);
      file.clear();
    }
  }
  running += digest_of(file);
  std::shuffle(sums.begin(), sums.end(), random);
  EXPECT_EQ(running, digest_of(sums));
}

TEST(Digest, I4_OneChangedCountOrOneMissingOrExchangedUserShows) {
  std::vector<UserClicks> rows;
  for (UserKey user = -500; user < 500; ++user) rows.push_back({user, user + 1000});
  const Digest whole = digest_of(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const UserClicks before = rows[i];
    rows[i].clicks += 1;
    EXPECT_NE(digest_of(rows), whole);
    rows[i] = {before.user, 0};
    EXPECT_NE(digest_of(rows), whole);
    rows[i] = {before.user + 10'000, before.clicks};
    EXPECT_NE(digest_of(rows), whole);
    rows[i] = {kNullUser, before.clicks};
    EXPECT_NE(digest_of(rows), whole);
    rows[i] = before;
  }
  std::swap(rows[3].clicks, rows[4].clicks);
  EXPECT_NE(digest_of(rows), whole);
}

}  // namespace
}  // namespace clicktally
