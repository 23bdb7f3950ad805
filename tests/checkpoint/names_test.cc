// Checks I2 and I3 of what a killed run left: names that are there, and that nobody has synced.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "tests/support/batches.h"
#include "tests/support/stopping_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

// Notes which directories are synced, and what is removed.
class NotingDisk final : public StoppingDisk {
 public:
  explicit NotingDisk(Disk& disk) : StoppingDisk(disk, 0) {}
  absl::Status sync_dir(const std::string& path) override {
    done_.push_back("sync " + path);
    return StoppingDisk::sync_dir(path);
  }
  absl::Status remove(const std::string& path) override {
    done_.push_back("remove " + path);
    return StoppingDisk::remove(path);
  }
  std::ptrdiff_t first(const std::string& what) const {
    return std::ranges::find(done_, what) - done_.begin();
  }
  bool did(const std::string& what) const { return first(what) < std::ssize(done_); }

 private:
  std::vector<std::string> done_;
};

class NamesTest : public ::testing::Test {
 protected:
  static void make(Disk& disk, const std::string& path) {
    auto checkpoint = Checkpoint::open(disk, path, {.open_state = open_small_state});
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    if ((*checkpoint)->is_new()) {
      ASSERT_TRUE((*checkpoint)->create(Batches::start()).ok());
    }
  }
  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
};

TEST_F(NamesTest, DirectoriesThatAKilledRunMadeAreSyncedInTheirParentsByTheNext) {
  const std::string root = dir_.path() + "/a/b/clicks";
  ASSERT_TRUE(fs::create_directories(root));
  fs::permissions(root, fs::perms::owner_all);
  NotingDisk noting(*disk_);
  make(noting, root);
  for (const std::string& parent : {dir_.path(), dir_.path() + "/a", dir_.path() + "/a/b"}) {
    EXPECT_TRUE(noting.did("sync " + parent)) << parent;
  }
}

TEST_F(NamesTest, AParentThatMayNotBeReadIsNoReasonToRefuse) {
  class Refusing final : public StoppingDisk {
   public:
    Refusing(Disk& disk, std::string path) : StoppingDisk(disk, 0), path_(std::move(path)) {}
    absl::Status sync_dir(const std::string& path) override {
      if (path == path_) return absl::PermissionDeniedError(path + ": Permission denied");
      return StoppingDisk::sync_dir(path);
    }

   private:
    const std::string path_;
  };
  ASSERT_TRUE(fs::create_directory(dir_.path() + "/clicks"));
  fs::permissions(dir_.path() + "/clicks", fs::perms::owner_all);
  Refusing refusing(*disk_, dir_.path());
  make(refusing, dir_.path() + "/clicks");
}

TEST_F(NamesTest, WhatIsSweptWasRenamedForGoodBefore) {
  const std::string root = dir_.path() + "/clicks";
  make(*disk_, root);
  ASSERT_TRUE(fs::create_directories(root + "/snapshots/4.gone"));
  const std::string file = root + "/snapshots/4.gone/CURRENT";
  auto made = disk_->open_append(file, Disk::Create::kKeep);
  ASSERT_TRUE(made.ok()) << made.status();
  NotingDisk noting(*disk_);
  make(noting, root);
  ASSERT_TRUE(noting.did("remove " + file));
  EXPECT_LT(noting.first("sync " + root), noting.first("remove " + file));
  EXPECT_LT(noting.first("sync " + root + "/snapshots"), noting.first("remove " + file));
}

}  // namespace
}  // namespace clicktally
