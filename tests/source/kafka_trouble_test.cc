// The Kafka source in trouble: passing troubles pass, and what ends the job ends it for every
// worker, in one line that a person can use. Whatever happens, no offset is lost or repeated.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "mock_kafka.h"
#include "source/kafka_source.h"
#include "source_testing.h"

namespace clicktally {
namespace {

TEST(KafkaTrouble, AnOffsetBeyondTheEndIsOutOfRangeWithTheNumbers) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 2);
  kafka.produce(kTopic, 1, numbered(0, 10));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 12}}).ok());
  Seen seen;
  const absl::Status status = drain_for(source.get(), &seen, seconds(20));
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  for (const char* part : {"topic clicks", "partition 1", "offset 12", "0 up to before 10",
                           "start a new checkpoint"}) {
    EXPECT_TRUE(says(status, part)) << part << " in " << status;
  }
}

TEST(KafkaTrouble, ADeletedOffsetIsOutOfRangeAndSaysHowManyRecordsAreGone) {
  MockKafka kafka(1);
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, std::vector<std::string>(3000, std::string(4000, 'x')));
  auto source = source_for(kafka.bootstrap_servers());
  const auto description = source->describe(seconds(10));
  ASSERT_TRUE(description.ok()) << description.status();
  const Offset earliest = description->partitions.at(0).earliest;
  ASSERT_GT(earliest, 1000) << "the mock should have dropped the oldest";
  ASSERT_TRUE(begin(source.get(), {{0, 7}}).ok());
  Seen seen;
  const absl::Status status = drain_for(source.get(), &seen, seconds(10));
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  const std::string gone = "1," + std::to_string(earliest - 7).substr(1) + " records";
  EXPECT_TRUE(says(status, gone)) << gone << " in " << status;
}

// As a broker does that slept through an election: see range_doubts.h.
TEST(KafkaTrouble, ABrokerThatWronglySaysOutOfRangeIsNotBelieved) {
  MockKafka kafka(1);
  kafka.create_topic(kTopic, 2);
  for (PartitionId id = 0; id < 2; ++id) kafka.produce(kTopic, id, numbered(0, 100));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 50}}).ok());
  source->set_limits({{1, 60}});
  Seen seen;
  ASSERT_TRUE(drain_records(source.get(), &seen, 110).ok());
  for (int round = 1; round <= 3; ++round) {
    kafka.fail_next(MockKafka::kFetch, 2, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    ASSERT_TRUE(drain_for(source.get(), &seen, milliseconds(700)).ok());
    source->set_limits({{1, 60 + 10 * round}});
    for (PartitionId id = 0; id < 2; ++id) kafka.produce(kTopic, id, numbered(0, 10));
    const absl::Status status = drain(source.get(), &seen, [&] {
      return seen.next[0] == 100 + 10 * round && seen.next[1] == 60 + 10 * round;
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  source->set_limits({});
  ASSERT_TRUE(drain_records(source.get(), &seen, 130 + 80).ok());
  EXPECT_EQ(seen.offsets[0], from_to(0, 130));
  EXPECT_EQ(seen.offsets[1], from_to(50, 130));
  EXPECT_EQ(seen.gaps + seen.repeated, 0);
}

// A new leader does not know at once all that was committed under the old one.
TEST(KafkaTrouble, AnOffsetBeyondTheEndIsGivenTimeToAppear) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, numbered(0, 10));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 12}}).ok());
  Seen seen;
  ASSERT_TRUE(drain_for(source.get(), &seen, seconds(4)).ok());
  kafka.produce(kTopic, 0, numbered(10, 20));
  ASSERT_TRUE(drain_records(source.get(), &seen, 8, seconds(3)).ok());
  EXPECT_EQ(seen.offsets[0], from_to(12, 20));
}

TEST(KafkaTrouble, ARecordOfAWrongChecksumEndsTheJobAtThatRecord) {
  MockKafka kafka(1);
  kafka.create_topic(kTopic, 1);
  for (const auto kind :
       {MockKafka::Raw::kRecord, MockKafka::Raw::kWrongChecksum, MockKafka::Raw::kRecord}) {
    kafka.append_raw(kTopic, 0, kind);
  }
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  const absl::Status status = drain_for(source.get(), &seen, seconds(10));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(says(status, "partition 0: the record at offset 1 cannot be read")) << status;
  EXPECT_TRUE(says(status, "CRC32C")) << status;
  EXPECT_LE(seen.next[0], 1);
}

TEST(KafkaTrouble, TheFirstFinalErrorSticksForEveryWorker) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 2);
  kafka.produce(kTopic, 0, numbered(0, 10));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 99}}).ok());
  Seen seen;
  const absl::Status first = drain_for(source.get(), &seen, seconds(20));
  ASSERT_FALSE(first.ok());
  RecordChunk chunk;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(source->poll(10, &chunk).status(), first);
  EXPECT_EQ(source->take_new_partitions().status(), first);
  const auto start = steady_clock::now();
  for (int i = 0; i < 100; ++i) source->wait(seconds(1));
  EXPECT_LT(since(start), milliseconds(40)) << "a failed source has nothing to wait for";
}

TEST(KafkaTrouble, WithoutABrokerDescribeGivesUpInTimeAndSaysWhy) {
  auto source = source_for("127.0.0.1:1");
  const auto start = steady_clock::now();
  const auto description = source->describe(milliseconds(700));
  EXPECT_LT(since(start), milliseconds(1200));
  EXPECT_TRUE(absl::IsDeadlineExceeded(description.status())) << description.status();
  EXPECT_TRUE(says(description.status(), "127.0.0.1:1")) << description.status();
  EXPECT_TRUE(says(description.status(), "Connection refused")) << description.status();
}

TEST(KafkaTrouble, DescribeWaitsForBrokersThatComeUpMeanwhile) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.set_brokers_up(false);
  auto source = source_for(kafka.bootstrap_servers());
  EXPECT_TRUE(absl::IsDeadlineExceeded(source->describe(milliseconds(500)).status()));
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(700));
    kafka.set_brokers_up(true);
  });
  const auto description = source->describe(seconds(10));
  later.join();
  EXPECT_TRUE(description.ok()) << description.status();
}

TEST(KafkaTrouble, AMissingTopicIsSaidToBeMissingOnceABrokerSaysItTwice) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.set_topic_error(kTopic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  auto source = source_for(kafka.bootstrap_servers());
  const auto description = source->describe(seconds(10));
  EXPECT_TRUE(absl::IsUnavailable(description.status())) << description.status();
  EXPECT_TRUE(says(description.status(), "has no topic clicks")) << description.status();
}

TEST(KafkaTrouble, ATopicThatIsMissingForAMomentIsAskedForAgain) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.set_topic_error(kTopic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  auto source = source_for(kafka.bootstrap_servers());
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(500));
    kafka.set_topic_error(kTopic, RD_KAFKA_RESP_ERR_NO_ERROR);
  });
  const auto description = source->describe(seconds(10));
  later.join();
  EXPECT_TRUE(description.ok()) << description.status();
}

TEST(KafkaTrouble, MissingRightsAreSaidAtOnce) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.set_topic_error(kTopic, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  auto source = source_for(kafka.bootstrap_servers());
  const auto description = source->describe(seconds(10));
  EXPECT_TRUE(absl::IsUnavailable(description.status())) << description.status();
  EXPECT_TRUE(says(description.status(), "read topic clicks")) << description.status();
}

TEST(KafkaTrouble, ARefusedLoginIsSaidAtOnceAndWithoutThePassword) {
  MockKafka kafka;  // knows no logins
  kafka.create_topic(kTopic, 1);
  auto source = source_for(kafka.bootstrap_servers(), {{"security.protocol", "sasl_plaintext"},
                                                       {"sasl.mechanisms", "PLAIN"},
                                                       {"sasl.username", "clara"},
                                                       {"sasl.password", "hunter2"}});
  const auto start = steady_clock::now();
  const absl::Status status = source->describe(seconds(20)).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(says(status, "refuses the login")) << status;
  EXPECT_FALSE(says(status, "hunter2")) << status;
  EXPECT_LT(since(start), seconds(10));
}

TEST(KafkaTrouble, PassingErrorsOfABrokerLoseAndRepeatNothing) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}, {2, 0}}).ok());
  Seen seen;
  int sent = 0;
  for (const auto error :
       {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR}) {
    kafka.fail_next(MockKafka::kFetch, 2, error);
    for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(sent, sent + 50));
    sent += 50;
    const absl::Status status =
        drain_records(source.get(), &seen, static_cast<std::size_t>(sent) * 3);
    ASSERT_TRUE(status.ok()) << status;
  }
  for (PartitionId id = 0; id < 3; ++id) EXPECT_EQ(seen.offsets[id], from_to(0, sent));
  EXPECT_EQ(seen.gaps, 0);
  EXPECT_EQ(seen.repeated, 0);
}

TEST(KafkaTrouble, LeadersMayMoveUnderLoad) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 2);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}}).ok());
  Seen seen;
  int sent = 0;
  for (int round = 0; round < 6; ++round) {
    for (PartitionId id = 0; id < 2; ++id) {
      kafka.set_leader(kTopic, id, (round + id) % 3 + 1);
      kafka.produce(kTopic, id, numbered(sent, sent + 300));
    }
    sent += 300;
    ASSERT_TRUE(drain_records(source.get(), &seen, static_cast<std::size_t>(sent)).ok());
  }
  ASSERT_TRUE(drain_records(source.get(), &seen, static_cast<std::size_t>(sent) * 2).ok());
  for (PartitionId id = 0; id < 2; ++id) EXPECT_EQ(seen.offsets[id], from_to(0, sent));
  EXPECT_EQ(seen.gaps, 0);
}

TEST(KafkaTrouble, CatchesUpSoonAfterAllBrokersWereAway) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(0, 100));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}, {2, 0}}).ok());
  Seen seen;
  ASSERT_TRUE(drain_records(source.get(), &seen, 300).ok());
  kafka.set_brokers_up(false);
  ASSERT_TRUE(drain_for(source.get(), &seen, seconds(4)).ok());
  kafka.set_brokers_up(true);
  for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(100, 200));
  const auto back = steady_clock::now();
  ASSERT_TRUE(drain_records(source.get(), &seen, 600).ok());
  EXPECT_LT(since(back), seconds(5));
  for (PartitionId id = 0; id < 3; ++id) EXPECT_EQ(seen.offsets[id], from_to(0, 200));
}

TEST(KafkaTrouble, StopsInBoundedTimeWithAllBrokersAway) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  kafka.produce(kTopic, 0, numbered(0, 1000));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}, {2, 0}}).ok());
  Seen seen;
  ASSERT_TRUE(drain_records(source.get(), &seen, 1).ok());
  source->set_limits({{0, seen.next[0]}});
  kafka.set_brokers_up(false);
  source->report_committed({{0, 1}});
  const auto start = steady_clock::now();
  source->stop();
  EXPECT_LT(since(start), milliseconds(3500));
  source.reset();
  EXPECT_LT(since(start), milliseconds(3600));
}

TEST(KafkaTrouble, StopsAtOnceWhenItNeverStartedOrNobodyAnswered) {
  const auto start = steady_clock::now();
  { auto source = source_for("127.0.0.1:1"); }
  {
    auto source = source_for("127.0.0.1:1");
    EXPECT_FALSE(source->describe(milliseconds(200)).ok());
    ASSERT_TRUE(source->start({{0, 0}}).ok());
    source->stop();
  }
  EXPECT_LT(since(start), seconds(3));
}

TEST(KafkaTrouble, ATopicThatStaysAwayEndsTheJob) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, numbered(0, 10));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  ASSERT_TRUE(drain_records(source.get(), &seen, 10).ok());
  kafka.set_topic_error(kTopic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const auto start = steady_clock::now();
  const absl::Status status = drain_for(source.get(), &seen, seconds(20));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(says(status, "topic clicks: Kafka does not have it any more")) << status;
  EXPECT_GT(since(start), seconds(4)) << "brokers may say so for a moment";
  const auto stopped = steady_clock::now();
  source->stop();
  EXPECT_LT(since(stopped), seconds(30)) << "librdkafka must not hang on what is left";
}

}  // namespace
}  // namespace clicktally
