#include "checkpoint/commit_record_codec.h"

#include <gtest/gtest.h>

#include <limits>

namespace clicktally {
namespace {

CommitRecord sample() {
  CommitRecord record;
  record.epoch = 2;
  record.batch = std::numeric_limits<std::int64_t>::max();
  record.time_ms = 1763817516196;
  record.previous_duration_ms = 120;
  record.job = {.cluster_id = "id \"quoted\" \x01", .topic = "clickstream_events"};
  PartitionRecord partition{
      .start = 5, .next = 100, .last = RecordFingerprint{99, -1, ~0ULL}, .counters = {}};
  partition.counters = {.clicks = 40,
                        .null_users = {0, 1, 2, 3, 4},
                        .other_events = 50,
                        .rejections = {1, 0, 2, 0, 1},
                        .gaps = 1,
                        .repeated = 3};
  partition.dead_letters = {.first = 7, .kept = 3, .bytes = 700, .dropped = 1};
  record.partitions[0] = partition;
  record.partitions[17] = {};
  record.digest = absl::MakeUint128(0xFEDCBA9876543210ULL, 7);
  record.changed = {.first = {kNullUser, -5, 2147483647}, .in_all = 4000000000};
  record.adjustments.push_back({.time_ms = 1, .command = "rollback 12"});
  return record;
}

TEST(CommitRecordCodecTest, WhatWasEncodedIsDecoded) {
  auto decoded = decode_commit_record(encode_commit_record(sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, sample());
}

TEST(CommitRecordCodecTest, EveryFlippedBitAndEveryCutIsSeen) {
  const std::string bytes = encode_commit_record(sample());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      EXPECT_TRUE(absl::IsDataLoss(decode_commit_record(flipped).status())) << at << "." << bit;
    }
    EXPECT_TRUE(absl::IsDataLoss(decode_commit_record(bytes.substr(0, at)).status())) << at;
  }
}

// The format: these bytes were written by format 1 and must be read for ever.
TEST(CommitRecordCodecTest, TheBytesOfFormat1AreReadForEver) {
  const std::string bytes =
      "0efb357a9033d980 "
      "{\"adjustments\":[],\"batch\":12,\"changed\":{\"first\":[3],"
      "\"in_all\":1},\"digest\":\"000000000000000000000000000000ff\","
      "\"epoch\":0,\"format\":1,\"job\":{\"cluster_id\":\"c\",\"filter\":\"f\",\"key\":\"k\","
      "\"topic\":\"t\"},\"partitions\":{\"0\":{\"clicks\":1,\"dead_letters\":{\"bytes\":90,"
      "\"dropped\":0,\"first\":0,\"kept\":1},\"gaps\":0,\"last\":{\"hash\":"
      "\"00000000000000aa\",\"offset\":8,\"timestamp_ms\":5},\"next\":9,\"null_users\":{"
      "\"absent\":1,\"null\":0,\"out_of_range\":0,\"unreadable\":0,\"wrong_type\":0},"
      "\"other_events\":0,"
      "\"rejections\":{\"empty\":0,\"missing_action\":0,\"not_json\":0,\"not_object\":0,"
      "\"tombstone\":0},\"repeated\":0,\"start\":8}},\"time_ms\":1000,\"unheard_of\":true}";
  auto decoded = decode_commit_record(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->batch, 12);
  EXPECT_EQ(decoded->digest, 255U);
  EXPECT_EQ(decoded->partitions.at(0).next, 9);
  EXPECT_EQ(decoded->partitions.at(0).last->hash, 0xAAU);
}

}  // namespace
}  // namespace clicktally
