// A small job that has stopped after batches 0 to 6, with snapshots of 2 and 4, and the ways to
// damage it; what it was can be brought back.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "tests/support/batches.h"
#include "tests/support/temp_dir.h"

namespace clicktally {

class JobWithSnapshots : public ::testing::Test {
 protected:
  JobWithSnapshots() {
    make_job();
    keep();
  }
  void make_job() {
    std::filesystem::remove_all(path_);
    auto made = open(*disk_);
    EXPECT_TRUE((*made)->create(Batches::start()).ok());
    for (int i = 0; i < 7; ++i) {
      EXPECT_TRUE(batches_.commit(**made).ok());
      if (i == 2 || i == 4) {
        EXPECT_TRUE((*made)->final_snapshot([] { return true; }).ok());
      }
    }
  }
  void keep() {
    std::filesystem::copy(path_, dir_.file("kept"), std::filesystem::copy_options::recursive);
  }
  // As it was kept, but for the hard links, which copying does not keep.
  void renew() {
    std::filesystem::remove_all(path_);
    std::filesystem::copy(dir_.file("kept"), path_, std::filesystem::copy_options::recursive);
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
  }
  absl::StatusOr<std::unique_ptr<Checkpoint>> open(Disk& disk, bool may_fall_back = true) {
    CheckpointOptions options{.open_state = open_small_state};
    options.may_fall_back = may_fall_back;
    options.snapshots.scrub_bytes_per_s = std::uint64_t{1} << 40;
    return Checkpoint::open(disk, path_, options);
  }
  static std::string manifest_of(const std::string& state) {
    for (const auto& entry : std::filesystem::directory_iterator(state)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("MANIFEST")) return entry.path();
    }
    return "";
  }
  void flip(const std::string& file, std::size_t at) {
    std::string bytes = *read_file(*disk_, file);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  CheckpointLayout layout_{path_};
  Batches batches_{60};
};

}  // namespace clicktally
