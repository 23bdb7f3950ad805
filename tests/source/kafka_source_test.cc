// The Kafka source against librdkafka's mock cluster. What it must hold: each record comes exactly
// once and in its partition's order, every offset is accounted for (I7), and limits hold records
// back.
#include "source/kafka_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "mock_kafka.h"
#include "source_testing.h"

namespace clicktally {
namespace {

TEST(KafkaSource, DescribesTheTopicBeforeItIsStarted) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  kafka.produce(kTopic, 1, numbered(0, 7));
  auto source = source_for(kafka.bootstrap_servers());
  const auto description = source->describe(seconds(10));
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_FALSE(description->cluster_id.empty());
  EXPECT_EQ(description->partitions,
            (std::map<PartitionId, OffsetRange>{{0, {0, 0}}, {1, {0, 7}}, {2, {0, 0}}}));
}

TEST(KafkaSource, HandsOutEachRecordOnceAndInOrderWhicheverWorkerTakesIt) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(0, 5000));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 100}, {2, 4990}}).ok());

  std::mutex mutex;
  Seen seen;
  std::atomic<std::size_t> records = 0;
  std::array<std::atomic<int>, 3> holders{};
  const auto work = [&] {
    RecordChunk chunk;
    const auto start = steady_clock::now();
    while (records < 9910 && since(start) < seconds(20)) {
      const auto polled = source->poll(137, &chunk);
      ASSERT_TRUE(polled.ok()) << polled.status();
      if (!*polled) {
        source->wait(milliseconds(20));
        continue;
      }
      auto& holder = holders[static_cast<std::size_t>(chunk.partition)];
      EXPECT_EQ(holder.fetch_add(1), 0) << "two workers hold partition " << chunk.partition;
      for (const Record& record : chunk.records) {
        EXPECT_EQ(record.value, "value " + std::to_string(record.offset));
        EXPECT_EQ(record.timestamp_ms, MockKafka::kTimestamp);
      }
      {
        const std::lock_guard lock(mutex);
        add(chunk, &seen);
      }
      records += chunk.records.size();
      holder.fetch_sub(1);
      source->release(&chunk);
    }
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();

  EXPECT_EQ(seen.offsets[0], from_to(0, 5000));
  EXPECT_EQ(seen.offsets[1], from_to(100, 5000));
  EXPECT_EQ(seen.offsets[2], from_to(4990, 5000));
  EXPECT_EQ(seen.gaps, 0);
  EXPECT_EQ(seen.repeated, 0);
  const auto status = source->status();
  EXPECT_EQ(status.at(1).next, 5000);
  EXPECT_EQ(status.at(1).latest_known, 5000);
}

TEST(KafkaSource, GivesEveryPartitionItsTurn) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  for (PartitionId id = 0; id < 3; ++id) kafka.produce(kTopic, id, numbered(0, 2000));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}, {2, 0}}).ok());
  std::this_thread::sleep_for(seconds(2));  // let all three be fetched
  std::vector<PartitionId> order;
  RecordChunk chunk;
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(*source->poll(10, &chunk));
    order.push_back(chunk.partition);
    source->release(&chunk);
  }
  EXPECT_EQ(order, (std::vector<PartitionId>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
}

TEST(KafkaSource, ClaimsAPartitionUntilItsChunkIsReleased) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, numbered(0, 100));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  RecordChunk held;
  while (!*source->poll(10, &held)) source->wait(milliseconds(20));
  RecordChunk other;
  EXPECT_FALSE(*source->poll(10, &other));
  source->release(&other);  // holds nothing, so gives nothing back
  EXPECT_FALSE(*source->poll(10, &other));
  EXPECT_EQ(held.records.front().value, "value 0");
  const auto records = static_cast<Offset>(held.records.size());  // at most 10: what had come
  source->release(&held);
  while (!*source->poll(10, &other)) source->wait(milliseconds(20));
  EXPECT_EQ(other.next_before, records);
}

TEST(KafkaSource, KeepsRecordsBeyondALimitUntilItIsRaised) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 2);
  for (PartitionId id = 0; id < 2; ++id) kafka.produce(kTopic, id, numbered(0, 300));
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}}).ok());
  source->set_limits({{0, 25}});
  Seen seen;
  ASSERT_TRUE(drain_records(source.get(), &seen, 325).ok());
  ASSERT_TRUE(drain_for(source.get(), &seen, milliseconds(300)).ok());
  EXPECT_EQ(seen.offsets[0], from_to(0, 25));
  EXPECT_EQ(seen.offsets[1], from_to(0, 300));

  source->set_limits({{0, 26}, {1, 0}});
  ASSERT_TRUE(drain_for(source.get(), &seen, milliseconds(300)).ok());
  EXPECT_EQ(seen.offsets[0], from_to(0, 26));

  source->set_limits({});
  ASSERT_TRUE(drain_records(source.get(), &seen, 600).ok());
  EXPECT_EQ(seen.offsets[0], from_to(0, 300));
  EXPECT_EQ(seen.gaps, 0);
}

TEST(KafkaSource, CountsOffsetsWithoutARecordAsGapsAlsoAtTheEnd) {
  MockKafka kafka(1);
  kafka.create_topic(kTopic, 1);
  using Raw = MockKafka::Raw;
  for (const Raw kind : {Raw::kRecord, Raw::kControl, Raw::kRecord, Raw::kControl, Raw::kControl}) {
    kafka.append_raw(kTopic, 0, kind);
  }
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  ASSERT_TRUE(drain(source.get(), &seen, [&] { return seen.next[0] == 5; }).ok());
  EXPECT_EQ(seen.offsets[0], (std::vector<Offset>{0, 2}));
  EXPECT_EQ(seen.gaps, 3);
  EXPECT_EQ(source->status().at(0).next, 5);
}

TEST(KafkaSource, ReachesALimitBelowWhichNothingIsLeft) {
  MockKafka kafka(1);
  kafka.create_topic(kTopic, 1);
  using Raw = MockKafka::Raw;
  for (const Raw kind : {Raw::kRecord, Raw::kControl, Raw::kControl, Raw::kRecord, Raw::kControl}) {
    kafka.append_raw(kTopic, 0, kind);
  }
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  const auto drain_to = [&](Offset limit) {
    source->set_limits({{0, limit}});
    ASSERT_TRUE(drain(source.get(), &seen, [&] { return seen.next[0] == limit; }).ok());
    EXPECT_EQ(seen.next[0], limit);
  };
  drain_to(2);  // record 3 shows that 1 holds nothing
  EXPECT_EQ(seen.offsets[0], (std::vector<Offset>{0}));
  EXPECT_EQ(seen.gaps, 1);
  drain_to(4);
  EXPECT_EQ(seen.offsets[0], (std::vector<Offset>{0, 3}));
  drain_to(5);  // the end of the partition shows it
  EXPECT_EQ(seen.gaps, 3);
}

TEST(KafkaSource, TellsATombstoneFromAnEmptyValue) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, {""});
  kafka.produce_tombstone(kTopic, 0);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  std::vector<bool> tombstones;
  RecordChunk chunk;
  const auto start = steady_clock::now();
  while (tombstones.size() < 2 && since(start) < seconds(10)) {
    if (!*source->poll(10, &chunk)) {
      source->wait(milliseconds(20));
      continue;
    }
    for (const Record& record : chunk.records) {
      EXPECT_EQ(record.value, "");
      tombstones.push_back(record.tombstone);
    }
    source->release(&chunk);
  }
  EXPECT_EQ(tombstones, (std::vector<bool>{false, true}));
}

// librdkafka 2.0.2 looks again only after a second at a queue that was full: see kafka_partition.h.
TEST(KafkaSource, AFullQueueIsFilledAgainAsSoonAsItIsDrained) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 1);
  kafka.produce(kTopic, 0, numbered(0, 12'000));
  auto source = source_for(kafka.bootstrap_servers(), {{"queued.min.messages", "500"}});
  ASSERT_TRUE(begin(source.get(), {{0, 0}}).ok());
  Seen seen;
  milliseconds draining{0};
  for (std::size_t round = 1; round <= 10; ++round) {
    std::this_thread::sleep_for(milliseconds(200));  // the queue gets full
    const auto start = steady_clock::now();
    ASSERT_TRUE(drain_records(source.get(), &seen, round * 1000).ok());
    draining += since(start);
  }
  EXPECT_LT(draining, milliseconds(2500)) << "ten times up to a second";
}

TEST(KafkaSource, PollsARecordSoonAfterItWasProduced) {
  MockKafka kafka;
  kafka.create_topic(kTopic, 3);
  auto source = source_for(kafka.bootstrap_servers());
  ASSERT_TRUE(begin(source.get(), {{0, 0}, {1, 0}, {2, 0}}).ok());
  Seen seen;
  kafka.produce(kTopic, 2, {"first"});
  ASSERT_TRUE(drain_records(source.get(), &seen, 1).ok());
  std::vector<milliseconds> waits;
  for (std::size_t i = 0; i < 9; ++i) {
    ASSERT_TRUE(drain_for(source.get(), &seen, milliseconds(37)).ok());
    kafka.produce(kTopic, static_cast<PartitionId>(i % 3), {"x"});
    const auto produced = steady_clock::now();
    ASSERT_TRUE(drain_records(source.get(), &seen, i + 2).ok());
    waits.push_back(since(produced));
  }
  std::sort(waits.begin(), waits.end());
  // The mock answers a waiting fetch only when fetch.wait.max.ms is over; a broker answers at once.
  EXPECT_LT(waits[4], milliseconds(200));
}

}  // namespace
}  // namespace clicktally
