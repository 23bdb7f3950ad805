// Checks I5 and I6 of fallback.h on a real disk with a real state: every way to damage a state, and
// a fallback cut at each of its steps.
#include "checkpoint/fallback.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/witness.h"
#include "tests/support/job_with_snapshots.h"
#include "tests/support/stopping_disk.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

class FallbackTest : public JobWithSnapshots {
 protected:
  void cut_end_of(const std::string& file) {
    fs::resize_file(file, fs::file_size(file) - std::min<std::uintmax_t>(20, fs::file_size(file)));
  }
  // By reading back: new files for a snapshot, those that an earlier run had read soon after it.
  static bool comes_to_light(Checkpoint& checkpoint) {
    const absl::Status taken = checkpoint.final_snapshot([] { return true; });
    for (int i = 0; i < 500 && checkpoint.failure().ok(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(taken.ok() || absl::IsDataLoss(taken)) << taken;
    return absl::IsDataLoss(checkpoint.failure());
  }
  // What must hold once `from` has taken over; and it goes on exactly.
  void expect_taken_over(Checkpoint& checkpoint, BatchId from) {
    EXPECT_FALSE(checkpoint.fallback());
    EXPECT_EQ(checkpoint.last().batch, from);
    EXPECT_GE(checkpoint.last().epoch, 1);
    EXPECT_FALSE(checkpoint.last_was_shown()) << "a new epoch: its batches are shown again";
    ASSERT_EQ(checkpoint.last().adjustments.size(), 1U);
    EXPECT_EQ(Batches::counts_of(**checkpoint.view()), batches_.counts_at(from));
    EXPECT_TRUE(fs::exists(layout_.live_damaged()));
    EXPECT_FALSE(fs::exists(layout_.live_next()));
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(batches_.commit(checkpoint).ok());
    EXPECT_TRUE(checkpoint.final_snapshot([] { return true; }).ok());
    EXPECT_EQ(Batches::counts_of(**checkpoint.view()), batches_.counts_at(from + 4));
  }
};

TEST_F(FallbackTest, TheNewestWholeSnapshotTakesOverAndTheDamagedStateIsKept) {
  flip(manifest_of(layout_.live()), 30);
  const std::string damaged = *read_file(*disk_, manifest_of(layout_.live()));
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE((*opened)->fallback());
  EXPECT_FALSE((*opened)->is_new());
  EXPECT_EQ((*opened)->fallback()->record.batch, 4);
  ASSERT_TRUE((*opened)->fall_back(5000).ok());
  expect_taken_over(**opened, 4);
  EXPECT_EQ(*read_file(*disk_, manifest_of(layout_.live_damaged())), damaged);
  opened->reset();
  auto again = open(*disk_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE((*again)->fallback());
  EXPECT_EQ((*again)->last().batch, 8);
  EXPECT_TRUE((*again)->last_was_shown());
}

TEST_F(FallbackTest, WithoutLeaveItIsRefusedAndNothingIsTouched) {
  fs::remove(layout_.live() + "/CURRENT");
  EXPECT_TRUE(absl::IsDataLoss(open(*disk_, false).status()));
  StoppingDisk counting(*disk_, 0);
  { auto pending = open(counting); }
  EXPECT_EQ(counting.operations(), 0) << "a plan writes nothing";
  EXPECT_TRUE(fs::exists(layout_.live()));
  EXPECT_FALSE(fs::exists(layout_.live_damaged()));
}

// A refused read, a lock, too little memory or too many files are no damage.
TEST_F(FallbackTest, WhatADiskRefusesIsNoProofOfDamage) {
  class Refusing final : public StoppingDisk {
   public:
    Refusing(Disk& disk, std::string name, absl::Status why)
        : StoppingDisk(disk, 0), name_(std::move(name)), why_(std::move(why)) {}
    absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
      if (path.find(name_) != std::string::npos) return why_;
      return StoppingDisk::open_random(path);
    }

   private:
    const std::string name_;
    const absl::Status why_;
  };
  for (const absl::Status& why :
       {absl::ResourceExhaustedError("EIO"), absl::PermissionDeniedError("EACCES")}) {
    for (const char* name :
         {"/live/MANIFEST", "/live/CURRENT", ".sst", ".log", "job.json", "COMMITTED", "SHOWN"}) {
      Refusing refusing(*disk_, name, why);
      const absl::Status refused = open(refusing).status();
      EXPECT_EQ(refused.code(), why.code()) << name << ": " << refused;
      EXPECT_EQ(refusing.operations(), 0);
    }
    // The live state is damaged beyond doubt, but whether the snapshot is whole cannot be told.
    renew();
    fs::remove(layout_.live() + "/CURRENT");
    Refusing refusing(*disk_, "/snapshots/4/", why);
    EXPECT_EQ(open(refusing).status().code(), why.code());
    renew();
  }
}

TEST_F(FallbackTest, ASecondDamageNeedsTheOperator) {
  flip(manifest_of(layout_.live()), 30);
  {
    auto opened = open(*disk_);
    ASSERT_TRUE((*opened)->fall_back(5000).ok());
    ASSERT_TRUE(batches_.commit(**opened).ok());
  }
  flip(manifest_of(layout_.live()), 30);
  const absl::Status refused = open(*disk_).status();
  ASSERT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_NE(message_of(refused).find("live.damaged"), std::string_view::npos) << refused;
  fs::remove_all(layout_.live_damaged());
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE((*opened)->fallback());
  EXPECT_EQ((*opened)->fallback()->next_epoch, 2) << "epoch 1 was shown";
}

TEST_F(FallbackTest, AnEpochThatNeverShowedABatchIsNotUsedAgain) {
  for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
    flip(manifest_of(layout_.live()), 30);
    auto opened = open(*disk_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE((*opened)->fallback());
    EXPECT_EQ((*opened)->fallback()->next_epoch, epoch);
    ASSERT_TRUE((*opened)->fall_back(5000).ok());
    fs::remove_all(layout_.live_damaged());
  }
}

TEST_F(FallbackTest, ASnapshotThatIsDamagedTooIsPassedOverAndMovedAside) {
  flip(manifest_of(layout_.live()), 30);
  fs::remove(layout_.snapshot(4) + "/CURRENT");
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE((*opened)->fallback());
  EXPECT_EQ((*opened)->fallback()->record.batch, 2);
  ASSERT_TRUE((*opened)->fall_back(5000).ok());
  EXPECT_TRUE(fs::exists(layout_.snapshot(4) + ".damaged"));
  expect_taken_over(**opened, 2);
  EXPECT_EQ(*newest_snapshot(*disk_, layout_), 6);
}

TEST_F(FallbackTest, WhereNoSnapshotIsWholeOrNoWitnessIsThereItIsRefused) {
  for (const char* witness : {"COMMITTED", "SHOWN", "job.json"}) {
    renew();
    flip(manifest_of(layout_.live()), 30);
    flip(path_ + "/" + witness, 20);
    EXPECT_TRUE(absl::IsDataLoss(open(*disk_).status())) << witness;
  }
  renew();
  flip(manifest_of(layout_.live()), 30);
  fs::remove(path_ + "/SHOWN");
  EXPECT_TRUE(absl::IsDataLoss(open(*disk_).status()));
  renew();
  flip(manifest_of(layout_.live()), 30);
  for (const int batch : {2, 4}) flip(manifest_of(layout_.snapshot(batch)), 30);
  const absl::Status refused = open(*disk_).status();
  ASSERT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_NE(message_of(refused).find("4, 2 are damaged too"), std::string_view::npos) << refused;
}

// Every file of the live state, damaged in three ways: the very state, a fallback, or a refusal;
// whatever is opened has the counts of its batch.
TEST_F(FallbackTest, WhateverIsDamagedTheCountsAreThoseOfTheBatchItSays) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(layout_.live())) {
    files.push_back(entry.path().filename());
  }
  int fallbacks = 0;
  for (const std::string& file : files) {
    const std::string path = layout_.live() + "/" + file;
    for (int way = 0; way < 12; ++way) {
      SCOPED_TRACE(file + " damaged in way " + std::to_string(way));
      renew();
      const std::size_t size = fs::file_size(path);
      if (way == 0) {
        fs::remove(path);
      } else if (way == 1) {
        cut_end_of(path);
      } else if (size > 0) {
        flip(path, size * static_cast<std::size_t>(way - 2) / 10);
      }
      auto opened = open(*disk_);
      if (!opened.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(opened.status())) << opened.status();
        continue;
      }
      if ((*opened)->fallback()) {
        ++fallbacks;
        ASSERT_TRUE((*opened)->fall_back(5000).ok());
        EXPECT_EQ((*opened)->last().batch, 4);
      } else {
        EXPECT_EQ((*opened)->last().batch, 6);
      }
      auto view = (*opened)->view();
      std::map<UserKey, std::int64_t> counts;
      const absl::Status scanned =
          (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
            counts[count.user] = count.clicks;
            return true;
          });
      if (scanned.ok()) {
        EXPECT_EQ(counts, batches_.counts_at((*opened)->last().batch));
      } else {  // a block of rows, which no start reads; the reading-back does
        EXPECT_TRUE(absl::IsDataLoss(scanned)) << scanned;
        ASSERT_TRUE(batches_.commit(**opened).ok());
        EXPECT_TRUE(comes_to_light(**opened));
        view->reset();
        opened->reset();
        auto next = open(*disk_);
        ASSERT_TRUE(next.ok()) << next.status();
        ASSERT_TRUE((*next)->fallback()) << "the note was not believed";
        ASSERT_TRUE((*next)->fall_back(5000).ok());
        expect_taken_over(**next, (*next)->last().batch);
      }
    }
  }
  EXPECT_GT(fallbacks, 20);
}

// Cut at each operation, and again at every ninth, in turn, of the run that goes on with it.
TEST_F(FallbackTest, CutAtTwoOperationsItIsGoneOnWith) {
  const auto run = [&](Disk& disk) {
    auto opened = open(disk);
    if (!opened.ok()) return opened.status();
    if (!(*opened)->fallback()) return absl::OkStatus();
    return (*opened)->fall_back(5000);
  };
#if defined(__SANITIZE_ADDRESS__)
  constexpr int kStep = 31;  // five times slower there
#else
  constexpr int kStep = 9;
#endif
  bool first_done = false;
  for (int first = 1; !first_done; ++first) {
    bool second_done = false;
    for (int second = 1 + first % kStep; !second_done; second += kStep) {
      SCOPED_TRACE("cut at operation " + std::to_string(first) + " and then at " +
                   std::to_string(second));
      renew();
      flip(manifest_of(layout_.live()), 30);
      fs::remove(layout_.snapshot(4) + "/CURRENT");
      {
        StoppingDisk cut(*disk_, first);
        const absl::Status ended = run(cut);
        first_done = !cut.stopped();
        EXPECT_TRUE(ended.ok() || absl::IsResourceExhausted(ended)) << ended;
      }
      {
        StoppingDisk cut(*disk_, second);
        const absl::Status ended = run(cut);
        second_done = !cut.stopped();
        EXPECT_TRUE(ended.ok() || absl::IsResourceExhausted(ended)) << ended;
      }
      ASSERT_TRUE(run(*disk_).ok());
      auto opened = open(*disk_);
      ASSERT_TRUE(opened.ok()) << opened.status();
      expect_taken_over(**opened, 2);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace clicktally
