// Checks I4 and I5 from outside the product: the state is changed through RocksDB itself, with
// valid checksums everywhere, so that nothing but the digest can tell. Whoever opens the checkpoint
// must be refused (kDataLoss), wherever the change lies: in the log, in a table file of its own, or
// merged into the others by a compaction.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_reader.h"
#include "model/state_key.h"
#include "state/count_value.h"
#include "state/rocks_parts.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

// How the checkpoint's commits reached the disk, before the change.
enum class Commits { kLogged, kIngested };
// Where the change lies when the checkpoint is opened again.
enum class Place { kLog, kTable, kCompacted };

std::string key_of(UserKey user) {
  return std::string(StateKey(user).bytes());
}
std::string value_of(std::int64_t clicks) {
  std::string bytes(CountValue::kSize, '\0');
  CountValue{clicks, 1}.write_to(bytes.data());
  return bytes;
}

struct Change {
  const char* name;
  std::function<rocksdb::Status(rocksdb::DB&)> make;
};

const std::array kChanges = {
    Change{"AnotherCount", [](rocksdb::DB& db) { return db.Put({}, key_of(2), value_of(21)); }},
    Change{"OneClickMore", [](rocksdb::DB& db) { return db.Merge({}, key_of(2), value_of(1)); }},
    Change{"OneClickLess", [](rocksdb::DB& db) { return db.Merge({}, key_of(2), value_of(-1)); }},
    Change{"AnotherUser", [](rocksdb::DB& db) { return db.Merge({}, key_of(99), value_of(1)); }},
    Change{"AUserDropped", [](rocksdb::DB& db) { return db.Delete({}, key_of(2)); }},
    Change{"TheNullGroupDropped", [](rocksdb::DB& db) { return db.Delete({}, key_of(kNullUser)); }},
    Change{"ClicksMovedToAnother",  // the sum of all clicks stays the same
           [](rocksdb::DB& db) {
             const rocksdb::Status taken = db.Merge({}, key_of(2), value_of(-1));
             return taken.ok() ? db.Merge({}, key_of(1), value_of(1)) : taken;
           }},
};

// What RocksDB does not count among the deletions of its log, so that it is seen once it lies in a
// table: from the second start on, and by every scan.
const std::array kRareChanges = {
    Change{"AUserSingleDeleted", [](rocksdb::DB& db) { return db.SingleDelete({}, key_of(2)); }},
    Change{"ARangeDropped",
           [](rocksdb::DB& db) {
             return db.DeleteRange({}, db.DefaultColumnFamily(), key_of(2), key_of(3));
           }},
};

class DamageTest : public ::testing::TestWithParam<std::tuple<Commits, Place, Change>> {
 protected:
  absl::StatusOr<std::unique_ptr<Checkpoint>> open() {
    return Checkpoint::open(*disk_, path_, {.must_exist = true, .open_state = opener()});
  }
  absl::Status open_reader() { return open_checkpoint_reader(*disk_, path_, opener()).status(); }
  StoreOpener opener() {
    return [this](Disk& disk, const std::string& path, OpenMode mode) {
      return open_count_store(disk, path, mode, options_);
    };
  }

  // Users NULL, 1 and 2 with 5, 10 and 20 clicks, in two batches.
  void make_checkpoint() {
    auto made = Checkpoint::open(*disk_, path_, {.must_exist = false, .open_state = opener()});
    ASSERT_TRUE(made.ok()) << made.status();
    CommitRecord record;
    record.job = {.cluster_id = "cluster", .topic = "topic"};
    record.partitions[0] = {};
    ASSERT_TRUE((*made)->create(record).ok());
    const std::array<UserClicks, 3> changed{{{kNullUser, 2}, {1, 5}, {2, 10}}};
    const std::array<UserClicks, 3> again{{{kNullUser, 3}, {1, 5}, {2, 10}}};
    for (const auto& users : {changed, again}) {
      ++record.batch;
      for (const UserClicks& row : users) {
        record.digest += digest_of(row.user, row.clicks);
        record.partitions[0].next += row.clicks;
        record.partitions[0].counters.clicks += row.clicks;
      }
      ASSERT_TRUE((*made)->commit(record, users).ok());
      ASSERT_TRUE((*made)->mark_shown().ok());
    }
  }

  // Opens the state behind the product's back. A restart first puts what the log holds into table
  // files, as one of the job does.
  void change(const Change& change, Place place) {
    const auto file_system = std::make_shared<RocksFileSystem>(*disk_);
    const auto env = rocksdb::NewCompositeEnv(file_system);
    rocksdb::DB* opened = nullptr;
    const auto floors = std::make_shared<DeadLetterFloors>();
    const rocksdb::Options rocks = rocks_options(options_, env.get(), floors);
    ASSERT_TRUE(rocksdb::DB::Open(rocks, path_ + "/live", &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    ASSERT_TRUE(change.make(*db).ok());
    if (place != Place::kLog) {
      ASSERT_TRUE(db->Flush({}).ok());
    }
    if (place == Place::kCompacted) {
      rocksdb::CompactRangeOptions all;
      all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
      ASSERT_TRUE(db->CompactRange(all, nullptr, nullptr).ok());
    }
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  CountStoreOptions options_;
};

TEST_P(DamageTest, IsRefusedByTheJobAndByReaders) {
  const auto& [commits, place, harm] = GetParam();
  options_.ingest_above_users = commits == Commits::kIngested ? 2 : 1000;
  ASSERT_NO_FATAL_FAILURE(make_checkpoint());
  ASSERT_TRUE(open_reader().ok());
  ASSERT_TRUE(open().ok());
  ASSERT_NO_FATAL_FAILURE(change(harm, place));
  for (int attempt = 0; attempt < 2; ++attempt) {  // the first refusal changed nothing
    const absl::Status job = open().status();
    EXPECT_TRUE(absl::IsDataLoss(job)) << job;
    EXPECT_NE(message_of(job).find("restore the checkpoint"), std::string_view::npos) << job;
    const absl::Status reader = open_reader();
    EXPECT_TRUE(absl::IsDataLoss(reader)) << reader;
  }
}

// Without a change the same detour through RocksDB is accepted: what is refused above is the change
// and not the detour.
TEST_F(DamageTest, ADetourThatChangesNothingIsAccepted) {
  for (const Place place : {Place::kLog, Place::kTable, Place::kCompacted}) {
    std::filesystem::remove_all(path_);
    ASSERT_NO_FATAL_FAILURE(make_checkpoint());
    const Change nothing{"", [](rocksdb::DB& db) { return db.Merge({}, key_of(2), value_of(0)); }};
    ASSERT_NO_FATAL_FAILURE(change(nothing, place));
    EXPECT_TRUE(open_reader().ok()) << open_reader();
    EXPECT_TRUE(open().ok()) << open().status();
  }
}

std::string name_of(const ::testing::TestParamInfo<DamageTest::ParamType>& param) {
  const auto& [commits, place, change] = param.param;
  const char* where = place == Place::kLog     ? "InTheLog"
                      : place == Place::kTable ? "InATable"
                                               : "Compacted";
  return std::string(change.name) + where +
         (commits == Commits::kIngested ? "AfterIngestion" : "AfterLogging");
}

INSTANTIATE_TEST_SUITE_P(EveryWay, DamageTest,
                         ::testing::Combine(::testing::Values(Commits::kLogged, Commits::kIngested),
                                            ::testing::Values(Place::kLog, Place::kTable,
                                                              Place::kCompacted),
                                            ::testing::ValuesIn(kChanges)),
                         name_of);

INSTANTIATE_TEST_SUITE_P(InTables, DamageTest,
                         ::testing::Combine(::testing::Values(Commits::kLogged, Commits::kIngested),
                                            ::testing::Values(Place::kTable, Place::kCompacted),
                                            ::testing::ValuesIn(kRareChanges)),
                         name_of);

}  // namespace
}  // namespace clicktally
