// What happens beside the records of a running source: new partitions, and reports to the consumer
// group.
#include "source/kafka_keeper.h"

#include <gtest/gtest.h>

#include <thread>

#include "mock_kafka.h"
#include "source/kafka_source.h"
#include "source_testing.h"

namespace clicktally {
namespace {

TEST(KafkaKeeper, NewPartitionsAreFoundAndReadFromTheirBeginning) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(0, 100));
  auto source = source_for(kafka.bootstrap_servers());
  // The mock cannot add partitions; for the source those it was not told of are new.
  ASSERT_TRUE(begin(source.get(), {{1, 40}}).ok());
  Seen seen;
  std::map<PartitionId, Offset> found;
  const auto start = steady_clock::now();
  while (found.empty() && since(start) < seconds(15)) {
    ASSERT_TRUE(drain_for(source.get(), &seen, milliseconds(50)).ok());
    auto taken = source->take_new_partitions();
    ASSERT_TRUE(taken.ok()) << taken.status();
    found = *taken;
  }
  EXPECT_EQ(found, (std::map<PartitionId, Offset>{{0, 0}, {2, 0}}));
  ASSERT_TRUE(drain_records(source.get(), &seen, 260).ok());
  EXPECT_EQ(seen.offsets[0], from_to(0, 100));
  EXPECT_EQ(seen.offsets[1], from_to(40, 100));
  EXPECT_EQ(seen.offsets[2], from_to(0, 100));
  EXPECT_TRUE(source->take_new_partitions()->empty()) << "each is new once";
}

TEST(KafkaKeeper, ReportsTheCheckpointsOffsetsToTheGroup) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 2);
  kafka.produce(kTopic, 0, numbered(0, 100));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}}).ok());
  for (Offset offset = 1; offset <= 77; ++offset) source->report_committed({{0, offset}, {1, 0}});
  source->stop();  // the last report gets its time
  EXPECT_EQ(kafka.committed("clicktally-" + kTopic, kTopic, 0), 77);
}

TEST(KafkaKeeper, TheGroupCanBeNamed) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  auto source = source_for(kafka.bootstrap_servers(), {{"group.id", "lag-watchers"}});
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  source->report_committed({{0, 5}});
  source->stop();
  EXPECT_EQ(kafka.committed("lag-watchers", kTopic, 0), 5);
}

TEST(KafkaKeeper, AReportThatFailedIsSentAgain) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.fail_next(MockKafka::kOffsetCommit, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  source->report_committed({{0, 9}});
  const auto start = steady_clock::now();
  Offset committed = -1;
  while (committed != 9 && since(start) < seconds(10)) {
    std::this_thread::sleep_for(milliseconds(200));
    committed = kafka.committed("clicktally-" + kTopic, kTopic, 0);
  }
  EXPECT_EQ(committed, 9);
}

TEST(KafkaKeeper, AReportThatFailsDisturbsNothing) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.fail_next(MockKafka::kOffsetCommit, 50, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  for (int i = 0; i < 5; ++i) {
    source->report_committed({{0, i}});
    kafka.produce(kTopic, 0, {"x"});
    ASSERT_TRUE(drain_records(source.get(), &seen, static_cast<std::size_t>(i) + 1).ok());
  }
}

}  // namespace
}  // namespace clicktally
