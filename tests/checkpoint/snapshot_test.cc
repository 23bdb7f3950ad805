// Checks I4, I5, I8 and I9 of snapshots.h and snapshot_keeper.h on a real disk with a real state.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/verification.h"
#include "tests/support/batches.h"
#include "tests/support/stopping_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

const auto kForEver = [] { return true; };

absl::StatusOr<std::unique_ptr<CountStore>> open_state(Disk& disk, const std::string& path,
                                                       OpenMode mode) {
  CountStoreOptions options;
  options.ingest_above_users = 40;
  options.memtable_bytes = 256 << 10;
  return open_count_store(disk, path, mode, options);
}

class SnapshotTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Checkpoint>> open(Disk& disk) {
    CheckpointOptions options{.open_state = open_state};
    options.may_fall_back = false;
    options.snapshots.retain = retain_;
    return Checkpoint::open(disk, path_, options);
  }
  std::unique_ptr<Checkpoint> open() {
    auto opened = open(*disk_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (!opened.ok()) return nullptr;
    if ((*opened)->is_new()) {
      EXPECT_TRUE((*opened)->create(Batches::start()).ok());
    }
    return *std::move(opened);
  }
  std::vector<SnapshotName> listed() { return list_snapshots(*disk_, layout_).value(); }
  std::vector<BatchId> names() {
    std::vector<BatchId> batches;
    for (const SnapshotName& name : listed()) batches.push_back(name.batch);
    return batches;
  }
  void expect_whole(BatchId batch) {
    auto store = open_state(*disk_, layout_.snapshot(batch), OpenMode::kReadOnly);
    ASSERT_TRUE(store.ok()) << store.status();
    auto record = verify_record(**store);
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_EQ(record->batch, batch);
    auto view = (*store)->view();
    EXPECT_EQ(Batches::counts_of(**view), batches_.counts_at(batch)) << "snapshot " << batch;
  }
  static absl::Status take(Checkpoint& checkpoint) {
    while (true) {
      auto taken = checkpoint.snapshot();
      if (!taken.ok() || *taken) return taken.status();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void expect_no_leftovers() {
    for (const auto& entry : fs::directory_iterator(layout_.snapshots())) {
      const std::string name = entry.path().filename();
      EXPECT_EQ(name.find_first_not_of("0123456789"), std::string::npos) << name;
    }
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  CheckpointLayout layout_{path_};
  Batches batches_{60};
  int retain_ = 3;
};

TEST_F(SnapshotTest, EachHoldsItsOwnBatchWhateverIsCommittedWhileItIsMade) {
  retain_ = 100;
  auto checkpoint = open();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    if (i % 4 == 3) {
      ASSERT_TRUE(take(*checkpoint).ok());
    }
  }
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{3, 7, 11, 15, 19, 23, 27, 31, 35, 39}));
  for (const BatchId batch : names()) expect_whole(batch);
  for (const SnapshotName& name : listed()) EXPECT_TRUE(name.scanned);
  expect_no_leftovers();
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    const auto forbidden = fs::perms::group_all | fs::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & forbidden, fs::perms::none) << entry.path();
  }
}

TEST_F(SnapshotTest, TheNewestAreKeptAndPinnedOnesForEver) {
  auto checkpoint = open();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(take(*checkpoint).ok());
    if (i == 4) {
      ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
      std::ofstream(layout_.snapshot(4) + "/PINNED");
    }
  }
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{4, 9, 10, 11}));
  expect_whole(4);
}

TEST_F(SnapshotTest, OneThatIsBeingReadIsNotRemoved) {
  auto checkpoint = open();
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  {
    auto reader = disk_->lock_dir(layout_.snapshot(0), Disk::LockMode::kShared, nullptr);
    ASSERT_TRUE(reader.ok());
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(batches_.commit(*checkpoint).ok());
      ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
    }
    EXPECT_EQ(names(), (std::vector<BatchId>{0, 4, 5, 6}));
    expect_whole(0);
  }
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{5, 6, 7}));
}

TEST_F(SnapshotTest, WithoutANewBatchThereIsNoneAndNothingIsWritten) {
  auto checkpoint = open();
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{})) << "before the first batch there is nothing to keep";
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  checkpoint.reset();
  StoppingDisk counting(*disk_, 0);
  auto again = open(counting);
  const int before = counting.operations();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*again)->final_snapshot(kForEver).ok());
  EXPECT_EQ(counting.operations(), before);
  EXPECT_EQ(names(), (std::vector<BatchId>{0}));
}

TEST_F(SnapshotTest, NothingIsPrunedWhileTheNewestWasNotReadBack) {
  auto checkpoint = open();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(checkpoint->final_snapshot([] { return false; }).ok());
  }
  const auto found = listed();
  ASSERT_GE(found.size(), 3U);
  std::size_t unread = 0;
  for (const SnapshotName& name : found) unread += name.scanned ? 0 : 1;
  EXPECT_TRUE(found.size() == 3U || unread > 0);
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{4, 5, 6}));
}

TEST_F(SnapshotTest, ADamagedNewFileStopsTheProcessAndTheNextStartKnows) {
  retain_ = 1;
  batches_ = Batches(6000);  // several blocks: a start reads the first
  auto checkpoint = open();
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  std::string table;  // the newest
  for (const auto& entry : fs::directory_iterator(layout_.live())) {
    if (entry.path().extension() == ".sst") table = std::max(table, entry.path().string());
  }
  std::string bytes = *read_file(*disk_, table);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);  // a row
  std::ofstream(table, std::ios::binary) << bytes;
  const absl::Status found = checkpoint->final_snapshot(kForEver);
  EXPECT_TRUE(absl::IsDataLoss(found)) << found;
  EXPECT_EQ(names(), (std::vector<BatchId>{0, 1})) << "the last good one was removed";
  EXPECT_TRUE(absl::IsDataLoss(checkpoint->failure()));
  EXPECT_TRUE(absl::IsDataLoss(checkpoint->snapshot().status()));
  checkpoint.reset();
  // The state opens well: what the start reads of that file is not what was flipped.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status start = open(*disk_).status();
    EXPECT_TRUE(absl::IsDataLoss(start)) << start;
    EXPECT_NE(message_of(start).find(fs::path(table).filename().string()), std::string_view::npos)
        << start;
  }
  EXPECT_TRUE(absl::IsDataLoss(open_checkpoint_reader(*disk_, path_, open_state).status()));
}

// I3, I5: cut at every operation that changes the disk. Whatever is there afterwards is the last
// batch or the one being committed, exact; every snapshot is whole; leftovers are gone.
TEST_F(SnapshotTest, CutAtEveryOperationItLosesNothingAndLeavesNothingBehind) {
  int longest = 0;
  for (int stop_at = 1; longest == 0 || stop_at <= longest; stop_at += stop_at < 60 ? 7 : 1) {
    SCOPED_TRACE("cut at operation " + std::to_string(stop_at));
    fs::remove_all(path_);
    BatchId acknowledged = kNoBatch;
    {
      StoppingDisk cut(*disk_, stop_at);
      auto opened = open(cut);
      if (opened.ok() && (*opened)->create(Batches::start()).ok()) {
        for (int i = 0; i < 7; ++i) {
          if (!batches_.commit(**opened).ok()) break;
          acknowledged = i;
          if (i % 2 == 0 && !(*opened)->final_snapshot(kForEver).ok()) break;
        }
      }
      if (!cut.stopped()) longest = stop_at;
    }
    auto again = open(*disk_);
    ASSERT_TRUE(again.ok()) << again.status();
    if ((*again)->is_new()) {
      EXPECT_EQ(acknowledged, kNoBatch);
      continue;
    }
    const BatchId found = (*again)->last().batch;
    EXPECT_TRUE(found == acknowledged || found == acknowledged + 1) << found;
    EXPECT_EQ(Batches::counts_of(**(*again)->view()), batches_.counts_at(found));
    expect_no_leftovers();
    for (const BatchId batch : names()) expect_whole(batch);
    ASSERT_TRUE(batches_.commit(**again).ok());
    ASSERT_TRUE((*again)->final_snapshot(kForEver).ok());
    EXPECT_EQ(names().back(), found + 1);
    EXPECT_LE(names().size(), 3U);
  }
  EXPECT_GT(longest, 150);
}

TEST_F(SnapshotTest, AStateOlderThanTheNewestSnapshotIsDamage) {
  {
    auto checkpoint = open();
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  }
  fs::copy(layout_.live(), dir_.file("older"), fs::copy_options::recursive);
  {
    auto checkpoint = open();
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  }
  fs::remove_all(layout_.live());
  fs::rename(dir_.file("older"), layout_.live());
  fs::remove(path_ + "/SHOWN");  // so that the snapshot alone can tell
  const absl::Status start = open(*disk_).status();
  EXPECT_TRUE(absl::IsDataLoss(start)) << start;
  EXPECT_NE(message_of(start).find("snapshot of batch 1"), std::string_view::npos) << start;
}

// Snapshots come faster than one file is read again; the damage is in the file that is read last.
TEST_F(SnapshotTest, ReadingAgainComesToTheLastFileHoweverOftenSnapshotsAreTaken) {
  batches_ = Batches(3000);
  {
    auto checkpoint = open();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  }
  std::string table;
  std::uintmax_t bytes_in_all = 0;
  for (const auto& entry : fs::directory_iterator(layout_.live())) {
    if (entry.path().extension() != ".sst") continue;
    table = std::max(table, entry.path().string());
    bytes_in_all += entry.file_size();
  }
  std::string bytes = *read_file(*disk_, table);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  std::ofstream(table, std::ios::binary) << bytes;

  CheckpointOptions options{.open_state = open_state};
  options.snapshots.retain = retain_;
  options.snapshots.scrub_bytes_per_s = bytes_in_all / 2;  // all of them in two seconds
  auto opened = Checkpoint::open(*disk_, path_, options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Batches few(10);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  int taken = 0;
  while ((*opened)->failure().ok() && std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(few.commit(**opened).ok());
    if (take(**opened).ok()) ++taken;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(absl::IsDataLoss((*opened)->failure()))
      << (*opened)->failure() << " after " << taken << " snapshots";
  EXPECT_GT(taken, 3) << "the test proves nothing";
}

TEST_F(SnapshotTest, ADirectoryThatNeverWasASnapshotIsPassedOverAndNamesNothing) {
  retain_ = 2;
  {
    auto checkpoint = open();
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  }
  fs::create_directory(layout_.snapshot(99));
  fs::create_directory(layout_.snapshot(3));
  std::ofstream(layout_.snapshot(3) + "/notes.txt") << "precious";
  auto checkpoint = open();
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->last().batch, 0);
  EXPECT_EQ(names(), std::vector<BatchId>{0});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
    ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  }
  EXPECT_EQ(names(), (std::vector<BatchId>{1, 2}));
  EXPECT_TRUE(fs::exists(layout_.snapshot(99)));
  // It stands in the way of the next one; nothing in it is touched.
  ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  const absl::Status in_the_way = checkpoint->final_snapshot(kForEver);
  EXPECT_TRUE(absl::IsFailedPrecondition(in_the_way)) << in_the_way;
  EXPECT_EQ(*read_file(*disk_, layout_.snapshot(3) + "/notes.txt"), "precious");
  checkpoint.reset();
  fs::remove_all(layout_.snapshot(3));
  checkpoint = open();
  ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
  EXPECT_EQ(names(), (std::vector<BatchId>{2, 3}));
  expect_whole(3);
}

// What a name links to may be anybody's, and may be changed by them.
TEST_F(SnapshotTest, ALinkAmongTheSnapshotsIsNeverFollowed) {
  {
    auto checkpoint = open();
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(batches_.commit(*checkpoint).ok());
      ASSERT_TRUE(checkpoint->final_snapshot(kForEver).ok());
    }
  }
  const std::string outside = dir_.file("outside");
  fs::rename(layout_.snapshot(1), outside);
  fs::create_directory_symlink(outside, layout_.snapshot(1));
  const absl::Status start = open(*disk_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(start)) << start;
  EXPECT_NE(message_of(start).find("snapshots/1: a link"), std::string_view::npos) << start;
  EXPECT_TRUE(absl::IsFailedPrecondition(open_snapshot(*disk_, layout_, 1, open_state).status()));
  EXPECT_FALSE(open_checkpoint_reader(*disk_, path_, open_state).ok());
  fs::remove(layout_.snapshot(1));
  fs::rename(outside, layout_.snapshot(1));
  // A file in one of them.
  std::string table;
  for (const auto& entry : fs::directory_iterator(layout_.snapshot(1))) {
    if (entry.path().extension() == ".sst") table = entry.path();
  }
  fs::rename(table, outside);
  fs::create_symlink(outside, table);
  const absl::Status linked = open_snapshot(*disk_, layout_, 1, open_state).status();
  EXPECT_TRUE(absl::IsDataLoss(linked)) << linked;
  EXPECT_NE(message_of(linked).find("symbolic link"), std::string_view::npos) << linked;
}

TEST_F(SnapshotTest, ALinkOutOfTheCheckpointIsRefusedAndLeftAlone) {
  {
    auto checkpoint = open();
    ASSERT_TRUE(batches_.commit(*checkpoint).ok());
  }
  fs::remove_all(layout_.snapshots());
  fs::create_directory(dir_.file("outside"));
  std::ofstream(dir_.file("outside/new")) << "precious";
  fs::create_directory_symlink(dir_.file("outside"), layout_.snapshots());
  EXPECT_TRUE(absl::IsFailedPrecondition(open(*disk_).status()));
  EXPECT_TRUE(fs::exists(dir_.file("outside/new")));
}

}  // namespace
}  // namespace clicktally
