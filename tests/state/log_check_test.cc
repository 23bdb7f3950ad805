// Checks I5 of rocks_log_check.h: log files that changed places, are there twice, or lack rows that
// others go on from, are damage; logs in order are read, and a torn record is no damage.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "state/count_store.h"
#include "state/rocks_log_check.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

constexpr BatchId kLarge = 3;
constexpr BatchId kCommits = 5;
const CountStoreOptions kLogged{.ingest_above_users = 10'000};

class LogCheckTest : public ::testing::Test {
 protected:
  // Commits that lie in one log, small ones and one that fills a few of its blocks.
  LogCheckTest() {
    auto store = open_count_store(*disk_, path_, OpenMode::kCreate, kLogged);
    EXPECT_TRUE(store.ok()) << store.status();
    for (BatchId batch = 0; batch < kCommits; ++batch) {
      const int users = batch == kLarge ? 4000 : 3;
      std::vector<UserClicks> changed;
      for (int user = 0; user < users; ++user) changed.push_back({user, 1});
      const std::string record = "record " + std::to_string(batch);
      EXPECT_TRUE((*store)->commit({.batch = batch, .record = record, .changed = changed}).ok());
      ends_.push_back(std::filesystem::file_size(log_file(0)));
    }
    sum_ = *(*store)->sum_of_file_digests();
    store->reset();
    log_ = *read_file(*disk_, log_file(0));
  }

  // The one log, and the ones that could follow it.
  std::string log_file(int which) {
    if (first_log_.empty()) {
      const auto names = disk_->list(path_);
      for (const std::string& name : *names) {
        if (name.ends_with(".log")) first_log_ = name;
      }
    }
    const std::string number = std::to_string(std::stoi(first_log_) + which);
    return path_ + "/" + std::string(6 - number.size(), '0') + number + ".log";
  }
  void write_logs(const std::vector<std::string>& logs) {
    for (std::size_t i = 0; i < logs.size(); ++i) {
      std::ofstream(log_file(static_cast<int>(i)), std::ios::binary) << logs[i];
    }
  }
  absl::StatusOr<Digest> read() {
    auto store = open_count_store(*disk_, path_, OpenMode::kReadOnly, kLogged);
    if (!store.ok()) return store.status();
    return (*store)->sum_of_file_digests();
  }

  absl::Status order() { return check_logs(*disk_, path_); }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  const std::string path_ = dir_.file("state");
  std::string first_log_;
  std::vector<std::size_t> ends_;  // of the commits in the log
  std::string log_;
  Digest sum_ = 0;
};

TEST_F(LogCheckTest, TheLogThatAJobWrote) {
  EXPECT_EQ(*read(), sum_);
}

TEST_F(LogCheckTest, LogsThatChangedPlacesAreDamage) {
  const std::string first = log_.substr(0, ends_[0]), second = log_.substr(0, ends_[1]);
  write_logs({first, ""});
  const Digest sum_of_first = *read();
  write_logs({second, first});
  const auto found = read();
  ASSERT_TRUE(absl::IsDataLoss(found.status())) << found.status();
  const std::string words(found.status().message());
  EXPECT_NE(words.find(log_file(1)), words.npos) << words;
  EXPECT_NE(words.find("goes back to earlier rows"), words.npos) << words;
  EXPECT_NE(words.find("restore the checkpoint from a backup"), words.npos) << words;
  const auto store = open_count_store(*disk_, path_, OpenMode::kReadWrite, kLogged);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  write_logs({first, ""});
  EXPECT_EQ(*read(), sum_of_first) << "nothing was changed by the refusals";
}

TEST_F(LogCheckTest, ALogThatIsThereTwiceIsDamage) {
  for (const std::size_t end : ends_) {
    write_logs({log_.substr(0, end), log_.substr(0, end)});
    EXPECT_TRUE(absl::IsDataLoss(read().status())) << end;
  }
}

TEST_F(LogCheckTest, SevenDigitsComeAfterSix) {
  std::filesystem::rename(log_file(0), path_ + "/999999.log");
  EXPECT_TRUE(order().ok());
  std::ofstream(path_ + "/1000000.log", std::ios::binary) << log_.substr(0, ends_[0]);
  EXPECT_TRUE(absl::IsDataLoss(order()));
  EXPECT_NE(order().message().find("/1000000.log"), std::string_view::npos) << order();
}

// A record of which bytes are missing or wrong was not committed: its rows come again. Every byte
// of a small commit, then places all over a large one.
TEST_F(LogCheckTest, ATornRecordIsNoDamage) {
  const std::string next = log_.substr(ends_[0], ends_[1] - ends_[0]);
  for (std::size_t at = ends_[0]; at < ends_[kLarge]; at += at < ends_[1] ? 1U : 97U) {
    std::string garbled = log_.substr(0, ends_[at < ends_[1] ? 1 : kLarge]);
    garbled[at] = static_cast<char>(garbled[at] ^ 4);
    for (const std::string& torn : {log_.substr(0, at), garbled}) {
      write_logs({torn, at < ends_[1] ? next : ""});
      ASSERT_TRUE(order().ok()) << at << ": " << order();
      write_logs({torn, log_.substr(0, ends_[0])});
      ASSERT_TRUE(absl::IsDataLoss(order())) << at;
    }
  }
}

// Commit 2 has followed in another log: what is wrong with commit 1 is no torn write.
TEST_F(LogCheckTest, ALostEndOfALogThatIsGoneOnFromIsDamage) {
  const std::string later = log_.substr(ends_[1], ends_[2] - ends_[1]);
  write_logs({log_.substr(0, ends_[1]), later});
  EXPECT_TRUE(read().ok()) << read().status();
  for (const std::size_t left : {ends_[0], ends_[0] + 3, ends_[0] + 20, ends_[1] - 1}) {
    write_logs({log_.substr(0, left), later});
    ASSERT_TRUE(absl::IsDataLoss(read().status())) << left;
    EXPECT_NE(
        read().status().message().find(log_file(0) + ": damaged: rows are missing at its end"),
        std::string_view::npos)
        << read().status();
  }
}

// The MANIFEST says which logs are in tables already.
TEST_F(LogCheckTest, ALogThatNobodyNeedsMayHoldAnything) {
  {
    auto store = open_count_store(*disk_, path_, OpenMode::kReadWrite, kLogged);  // flushes it
    const std::array<UserClicks, 1> changed{{{7, 1}}};
    ASSERT_TRUE((*store)->commit({.batch = kCommits, .record = "next", .changed = changed}).ok());
    sum_ = *(*store)->sum_of_file_digests();
  }
  for (const std::size_t end : {ends_.back(), ends_[1] - 1, ends_[0], std::size_t{0}}) {
    write_logs({log_.substr(0, end)});  // a removal that was not synced
    EXPECT_EQ(*read(), sum_) << end;
  }
}

// As a run leaves it that was killed at its start, again and again: the flushed log is there, and a
// table was ingested since.
TEST_F(LogCheckTest, AnIngestedBatchMayStandBetweenAnOldLogAndANeededOne) {
  {
    auto store = open_count_store(*disk_, path_, OpenMode::kReadWrite, {.ingest_above_users = 0});
    ASSERT_TRUE(store.ok()) << store.status();
    const std::array<UserClicks, 1> changed{{{7, 1}}};
    ASSERT_TRUE((*store)->commit({.batch = kCommits, .record = "r", .changed = changed}).ok());
  }
  {
    auto store = open_count_store(*disk_, path_, OpenMode::kReadWrite, kLogged);
    const std::array<UserClicks, 1> changed{{{8, 1}}};
    ASSERT_TRUE((*store)->commit({.batch = kCommits + 1, .record = "s", .changed = changed}).ok());
  }
  write_logs({log_.substr(0, ends_[3] - 1)});
  const auto store = open_count_store(*disk_, path_, OpenMode::kReadOnly, kLogged);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*(*store)->last_record(), "s");
}

}  // namespace
}  // namespace clicktally
