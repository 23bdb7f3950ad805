// Checks I3, I4, I5, I6 and I8 of checkpoint.h on a real disk with a real state.
#include "checkpoint/checkpoint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/witness.h"
#include "tests/support/stopping_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<CountStore>> open_state(Disk& disk, const std::string& path,
                                                       OpenMode mode) {
  return open_count_store(disk, path, mode, CountStoreOptions{});
}

class CheckpointTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Checkpoint>> open(bool must_exist = false) {
    return Checkpoint::open(*disk_, path_, {.must_exist = must_exist, .open_state = open_state});
  }
  static CommitRecord start_record() {
    CommitRecord record;
    record.job = {.cluster_id = "cluster", .topic = "topic"};
    record.partitions[0] = {.start = 10, .next = 10, .last = {}, .counters = {}};
    return record;
  }
  // The batch after `last`: `clicks` clicks of user 7.
  static CommitRecord next_of(const CommitRecord& last, std::int64_t clicks) {
    CommitRecord next = last;
    ++next.batch;
    next.time_ms = 1000 + next.batch;
    next.partitions[0].next += clicks;
    next.partitions[0].counters.clicks += clicks;
    next.digest += digest_of(7, clicks);
    return next;
  }
  // A checkpoint with three batches, the last of them shown.
  void make_three_batches() {
    auto checkpoint = open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    ASSERT_TRUE((*checkpoint)->is_new());
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
    for (int i = 1; i <= 3; ++i) {
      const std::vector<UserClicks> changed{{7, i}};
      ASSERT_TRUE((*checkpoint)->commit(next_of((*checkpoint)->last(), i), changed).ok());
      ASSERT_TRUE((*checkpoint)->mark_shown().ok());
    }
  }
  void flip_byte(const std::string& name, std::size_t at) {
    const std::string file = path_ + "/" + name;
    std::string bytes = *read_file(*disk_, file);
    ASSERT_LT(at, bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("parent/checkpoint");
};

TEST_F(CheckpointTest, ANewOneIsMadeWithItsParentsAndIsPrivate) {
  make_three_batches();
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_all);
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all),
              fs::perms::none)
        << entry.path();
  }
}

TEST_F(CheckpointTest, ReopeningGivesTheLastCommit) {
  make_three_batches();
  auto again = open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE((*again)->is_new());
  EXPECT_TRUE((*again)->last_was_shown());
  EXPECT_EQ((*again)->last().batch, 2);
  EXPECT_EQ((*again)->last().partitions.at(0).next, 16);
  auto view = (*again)->view();
  EXPECT_EQ((*(*view)->get(7))->clicks, 6);
}

TEST_F(CheckpointTest, ABatchThatWasNotShownIsKnownAsSuch) {
  make_three_batches();
  {
    auto checkpoint = open();
    const std::vector<UserClicks> changed{{7, 1}};
    ASSERT_TRUE((*checkpoint)->commit(next_of((*checkpoint)->last(), 1), changed).ok());
  }
  auto again = open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->last().batch, 3);
  EXPECT_FALSE((*again)->last_was_shown());
}

TEST_F(CheckpointTest, ASecondProcessIsRefusedAtOnceAndToldThePid) {
  make_three_batches();
  auto held = open();
  ASSERT_TRUE(held.ok());
  auto second = open();
  ASSERT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_NE(message_of(second.status()).find(std::to_string(::getpid())), std::string::npos)
      << second.status();
}

TEST_F(CheckpointTest, AReaderSeesTheLastCommitWhileTheWriterHoldsIt) {
  make_three_batches();
  auto held = open();
  ASSERT_TRUE(held.ok());
  auto reader = open_checkpoint_reader(*disk_, path_, open_state);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->job_is_running);
  EXPECT_EQ(reader->state.record.batch, 2);
  EXPECT_EQ((*reader->view->get(7))->clicks, 6);
}

TEST_F(CheckpointTest, AWriterCanStartWhileAReaderHoldsItsView) {
  make_three_batches();
  auto reader = open_checkpoint_reader(*disk_, path_, open_state);
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE(reader->job_is_running);
  auto writer = open();
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<UserClicks> changed{{7, 100}};
  ASSERT_TRUE((*writer)->commit(next_of((*writer)->last(), 100), changed).ok());
  EXPECT_EQ((*reader->view->get(7))->clicks, 6);
}

TEST_F(CheckpointTest, ExistingRefusesToMakeOne) {
  EXPECT_TRUE(absl::IsFailedPrecondition(open(true).status()));
  EXPECT_FALSE(fs::exists(path_));
  fs::create_directories(path_);
  fs::permissions(path_, fs::perms::owner_all);
  EXPECT_TRUE(absl::IsFailedPrecondition(open(true).status()));
}

TEST_F(CheckpointTest, AForeignDirectoryIsRefusedAndLeftAlone) {
  fs::create_directories(path_);
  fs::permissions(path_, fs::perms::owner_all);
  std::ofstream(path_ + "/thesis.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(open().status()));
  EXPECT_TRUE(fs::exists(path_ + "/thesis.txt"));
}

TEST_F(CheckpointTest, AForeignDirectoryWithNamesLikeOursIsLeftAlone) {
  fs::create_directories(path_ + "/live.new");
  fs::permissions(path_, fs::perms::owner_all);
  std::ofstream(path_ + "/live.new/thesis.txt") << "precious";
  std::ofstream(path_ + "/other.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(open().status()));
  EXPECT_TRUE(fs::exists(path_ + "/live.new/thesis.txt"));
}

TEST_F(CheckpointTest, ExistingDoesNotMakeAnewWhatWasNeverFinished) {
  {
    auto checkpoint = open();
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
  }
  fs::remove(path_ + "/job.json");
  fs::remove(path_ + "/COMMITTED");
  fs::remove(path_ + "/snapshots");
  fs::rename(path_ + "/live", path_ + "/live.new");
  EXPECT_TRUE(absl::IsFailedPrecondition(open(true).status()));
}

TEST_F(CheckpointTest, AFileIsNoCheckpoint) {
  std::ofstream(dir_.file("file")) << "x";
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Checkpoint::open(*disk_, dir_.file("file"), {.must_exist = false, .open_state = open_state})
          .status()));
}

TEST_F(CheckpointTest, ADirectoryThatOthersMayWriteIsRefused) {
  make_three_batches();
  fs::permissions(path_, fs::perms::owner_all | fs::perms::others_all);
  EXPECT_TRUE(absl::IsFailedPrecondition(open().status()));
}

TEST_F(CheckpointTest, APartOfItThatOthersMayWriteIsRefused) {
  make_three_batches();
  for (const char* part : {"live", "snapshots"}) {
    fs::permissions(path_ + "/" + part, fs::perms::owner_all | fs::perms::others_write);
    const absl::Status refused = open().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(message_of(refused).find(part), std::string_view::npos) << refused;
    fs::permissions(path_ + "/" + part, fs::perms::owner_all);
  }
  EXPECT_TRUE(open().ok());
}

// The owner of a directory can change what is in it, whatever its mode says.
TEST_F(CheckpointTest, OneThatBelongsToAnotherUserIsRefusedAndCanBeRead) {
  class OfAnother final : public StoppingDisk {
   public:
    OfAnother(Disk& disk, std::string name) : StoppingDisk(disk, 0), name_(std::move(name)) {}
    absl::StatusOr<FileInfo> stat(const std::string& path) override {
      auto info = StoppingDisk::stat(path);
      if (info.ok() && path.ends_with(name_)) info->owner = this_user() + 1;
      return info;
    }

   private:
    const std::string name_;
  };
  make_three_batches();
  for (const char* name : {"/checkpoint/.", "/live", "/snapshots"}) {
    OfAnother disk(*disk_, name);
    const absl::Status refused = Checkpoint::open(disk, path_, {.open_state = open_state}).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << name << ": " << refused;
    EXPECT_NE(message_of(refused).find(fmt::format("of user {}", this_user() + 1)),
              std::string_view::npos)
        << refused;
    EXPECT_EQ(disk.operations(), 0);
    EXPECT_TRUE(open_checkpoint_reader(disk, path_, open_state).ok());
  }
}

// What only a whole checkpoint gets is proof that there was one, however little is left of it.
TEST_F(CheckpointTest, WhatIsLeftOfALostCheckpointIsDamageNeverANewOne) {
  make_three_batches();
  const std::vector<std::string> left{"snapshots", "live.damaged", "live.next", "COMMITTED"};
  for (const std::string& name : left) {
    fs::remove_all(path_);
    fs::create_directories(path_ + "/" + name);
    for (const char* beside : {"", "live.new", "SHOWN.tmp", "lost+found"}) {
      if (*beside != 0) fs::create_directory(path_ + "/" + beside);
      const absl::Status refused = open().status();
      EXPECT_TRUE(absl::IsDataLoss(refused)) << name << " and " << beside << ": " << refused;
      EXPECT_TRUE(absl::IsDataLoss(open_checkpoint_reader(*disk_, path_, open_state).status()));
      EXPECT_TRUE(fs::exists(path_ + "/" + name));
    }
  }
  // A witness of a later epoch, as a fallback and a restore write it before they have shown a
  // batch.
  fs::remove_all(path_);
  fs::create_directory(path_);
  const CheckpointLayout layout(path_);
  ASSERT_TRUE(create_witness(*disk_, layout, WitnessOf::kShown,
                             {.epoch = 1, .batch = kNoBatch, .digest = 0})
                  .ok());
  EXPECT_TRUE(absl::IsDataLoss(open().status()));
  ASSERT_TRUE(create_witness(*disk_, layout, WitnessOf::kShown,
                             {.epoch = 0, .batch = kNoBatch, .digest = 0})
                  .ok());
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE((*opened)->is_new()) << "left from a creation that was cut short";
}

TEST_F(CheckpointTest, ItWorksWhenCopiedOrMoved) {
  make_three_batches();
  const std::string copy = dir_.file("copy");
  fs::copy(path_, copy, fs::copy_options::recursive);
  fs::rename(dir_.file("parent"), dir_.file("moved"));
  for (const std::string& place : {copy, dir_.file("moved/checkpoint")}) {
    auto opened = Checkpoint::open(*disk_, place, {.must_exist = true, .open_state = open_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->last().batch, 2);
  }
}

// I5: everything that can be missing, and what it must lead to.
TEST_F(CheckpointTest, AMissingPartIsDamageNeverANewCheckpoint) {
  make_three_batches();
  const std::string kept = dir_.file("kept");
  fs::copy(path_, kept, fs::copy_options::recursive);
  std::vector<std::string> parts{"job.json", "live"};
  for (const auto& entry : fs::directory_iterator(path_ + "/live")) {
    parts.push_back("live/" + entry.path().filename().string());
  }
  for (const std::string& part : parts) {
    // The two that RocksDB writes for itself alone, and a state does not need.
    if (part == "live/IDENTITY" || part.starts_with("live/OPTIONS")) continue;
    fs::remove_all(path_ + "/" + part);
    auto opened = open();
    EXPECT_TRUE(absl::IsDataLoss(opened.status())) << part << ": " << opened.status();
    fs::remove_all(path_);
    fs::copy(kept, path_, fs::copy_options::recursive);
    fs::permissions(path_, fs::perms::owner_all);
  }
}

TEST_F(CheckpointTest, WithoutShownTheLastBatchIsTakenForNotShown) {
  make_three_batches();
  fs::remove(path_ + "/SHOWN");
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE((*opened)->last_was_shown());
  ASSERT_TRUE((*opened)->mark_shown().ok());
  opened->reset();
  EXPECT_TRUE((*open())->last_was_shown());
}

TEST_F(CheckpointTest, EveryByteOfTheWitnessesAndJobJsonIsChecked) {
  make_three_batches();
  for (const char* name : {"COMMITTED", "SHOWN", "job.json"}) {
    const std::size_t size = fs::file_size(path_ + "/" + name);
    for (std::size_t at = 0; at < size; ++at) {
      flip_byte(name, at);
      auto opened = open();
      EXPECT_TRUE(absl::IsDataLoss(opened.status())) << name << " byte " << at;
      flip_byte(name, at);
    }
  }
  EXPECT_TRUE(open().ok());
}

// Each witness alone: the other is as it was before the batch, or gone.
TEST_F(CheckpointTest, AnOlderStateThanTheOneCommittedOrShownIsDamage) {
  make_three_batches();
  const std::string older = dir_.file("older");
  fs::copy(path_ + "/live", older, fs::copy_options::recursive);
  const auto commit_one = [&] {
    auto checkpoint = open();
    const std::vector<UserClicks> changed{{7, 1}};
    ASSERT_TRUE((*checkpoint)->commit(next_of((*checkpoint)->last(), 1), changed).ok());
  };
  const auto expect_damage_of_the_older = [&](std::string_view words) {
    fs::remove_all(path_ + "/live");
    fs::copy(older, path_ + "/live", fs::copy_options::recursive);
    const absl::Status refused = open().status();
    EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
    EXPECT_NE(message_of(refused).find(words), std::string_view::npos) << refused;
  };
  commit_one();
  expect_damage_of_the_older("batch 3 of epoch 0 was already committed");
  fs::remove(path_ + "/COMMITTED");
  commit_one();
  ASSERT_TRUE((*open())->mark_shown().ok());
  fs::remove(path_ + "/COMMITTED");
  expect_damage_of_the_older("batch 3 of epoch 0 was already shown");
}

TEST_F(CheckpointTest, TheSameBatchWithAnotherDigestThanCommittedOrShownIsDamage) {
  make_three_batches();
  CommitRecord other;
  other.batch = 2;
  other.digest = 12345;
  const CheckpointLayout layout(path_);
  for (const WitnessOf what : {WitnessOf::kCommitted, WitnessOf::kShown}) {
    auto before = read_witness(*disk_, layout, what);
    ASSERT_TRUE(before.ok()) << before.status();
    ASSERT_TRUE(write_witness(*disk_, layout, what, Witness::of(other)).ok());
    EXPECT_TRUE(absl::IsDataLoss(open().status()));
    ASSERT_TRUE(write_witness(*disk_, layout, what, *before).ok());
  }
  EXPECT_TRUE(open().ok());
}

// One line that is whole, of the other witness.
TEST_F(CheckpointTest, WitnessesThatChangedPlacesAreDamage) {
  make_three_batches();
  fs::rename(path_ + "/SHOWN", path_ + "/kept");
  fs::copy(path_ + "/COMMITTED", path_ + "/SHOWN");
  EXPECT_TRUE(absl::IsDataLoss(open().status()));
}

// Fault row 18.
TEST_F(CheckpointTest, AnOlderOrNewerFormatIsRefusedAsSuch) {
  make_three_batches();
  for (const int format : {0, 2, 10}) {
    // The bytes that it would have, by the same rule.
    std::ofstream(path_ + "/job.json")
        << fmt::format("{{\"format\":{},\"checksum\":\"{:016x}\"}}\n", format,
                       hash64(fmt::format("clicktally checkpoint format {}", format)));
    auto opened = open();
    EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
    const std::string words = fmt::format(
        "has format {}, this clicktally reads format 1; use the version that wrote it", format);
    EXPECT_NE(opened.status().message().find(words), std::string::npos) << opened.status();
  }
}

// Creation, cut after each of its steps: either gone on with, or begun anew; both pin an offset
// once.
TEST_F(CheckpointTest, CreationCutShortIsFinishedWithThePinnedOffsets) {
  {
    auto checkpoint = open();
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
  }
  fs::remove(path_ + "/job.json");
  fs::remove(path_ + "/COMMITTED");
  fs::remove(path_ + "/snapshots");  // which comes after it
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE((*opened)->is_new());
  EXPECT_EQ((*opened)->last(), start_record());
  opened->reset();
  fs::remove(path_ + "/job.json");
  fs::remove(path_ + "/COMMITTED");
  fs::remove(path_ + "/snapshots");  // which comes after it
  fs::rename(path_ + "/live", path_ + "/live.new");
  opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE((*opened)->is_new()) << "live.new was not published: nothing was pinned";
  ASSERT_TRUE((*opened)->create(start_record()).ok());
}

// I5: what a crash leaves and what a person left look alike but for the batch in it.
TEST_F(CheckpointTest, AStateWithABatchIsNoLeftoverWhateverItsName) {
  make_three_batches();
  fs::remove(path_ + "/job.json");
  fs::remove(path_ + "/SHOWN");
  fs::rename(path_ + "/live", path_ + "/live.new");
  const absl::Status status = open().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(fs::exists(path_ + "/live.new/CURRENT"));
  EXPECT_EQ(open_checkpoint_reader(*disk_, path_, open_state).status(), status);
}

TEST_F(CheckpointTest, AReaderSaysOfAMissingJobJsonWhatTheWriterSays) {
  make_three_batches();
  fs::remove(path_ + "/job.json");
  const absl::Status status = open().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(open_checkpoint_reader(*disk_, path_, open_state).status(), status);
}

TEST_F(CheckpointTest, AReaderOfACheckpointWithoutABatchIsToldSo) {
  const auto expect = [&](std::string_view words) {
    const absl::Status status = open_checkpoint_reader(*disk_, path_, open_state).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(message_of(status).find(words), std::string::npos) << status;
  };
  {
    auto checkpoint = open();
    expect("a job is making this checkpoint");
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
    fs::remove(path_ + "/job.json");
    fs::remove(path_ + "/COMMITTED");
    fs::remove(path_ + "/snapshots");
    expect("a job is making this checkpoint");
  }
  expect("was cut short");
  fs::remove_all(path_ + "/live");
  fs::remove(path_ + "/SHOWN");
  expect("it is empty");
}

TEST_F(CheckpointTest, ADirectoryThatCannotBeMadeIsAWrongPath) {
  fs::create_directory(dir_.file("parent"));
  fs::create_symlink(dir_.file("nowhere"), path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(open().status())) << open().status();
  path_ = "/proc/clicktally";
  EXPECT_TRUE(absl::IsFailedPrecondition(open().status())) << open().status();
}

TEST_F(CheckpointTest, AWitnessThatAPersonRemovedIsMadeAnewAndACheckpointIsNot) {
  make_three_batches();
  auto checkpoint = open();
  fs::remove(path_ + "/COMMITTED");
  const std::vector<UserClicks> first{{7, 1}};
  EXPECT_TRUE((*checkpoint)->commit(next_of((*checkpoint)->last(), 1), first).ok());
  EXPECT_EQ(*read_witness(*disk_, CheckpointLayout(path_), WitnessOf::kCommitted),
            Witness::of((*checkpoint)->last()));
  fs::remove(path_ + "/SHOWN");
  EXPECT_TRUE((*checkpoint)->mark_shown().ok());
  EXPECT_TRUE(fs::exists(path_ + "/SHOWN"));
  fs::rename(path_, dir_.file("moved"));
  EXPECT_TRUE(absl::IsFailedPrecondition((*checkpoint)->mark_shown()));
  const std::vector<UserClicks> changed{{7, 1}};
  (*checkpoint)->commit(next_of((*checkpoint)->last(), 1), changed).IgnoreError();
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(CheckpointTest, AStateWhoseDigestDoesNotMatchIsRefused) {
  {
    auto checkpoint = open();
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
    // One count that the record knows nothing of.
    const std::vector<UserClicks> changed{{7, 1}, {8, 1}};
    ASSERT_TRUE((*checkpoint)->commit(next_of((*checkpoint)->last(), 1), changed).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(open().status()));
}

TEST_F(CheckpointTest, ARecordWhoseOffsetsDoNotAddUpIsRefused) {
  {
    auto checkpoint = open();
    ASSERT_TRUE((*checkpoint)->create(start_record()).ok());
    CommitRecord next = next_of((*checkpoint)->last(), 1);
    next.partitions[0].next += 1;  // an offset that was neither counted nor a gap (I7)
    const std::vector<UserClicks> changed{{7, 1}};
    ASSERT_TRUE((*checkpoint)->commit(next, changed).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(open().status()));
}

}  // namespace
}  // namespace clicktally
