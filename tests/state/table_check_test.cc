// Checks I5 of rocks_table_check.h: whatever stands in the blocks at the end of a table file, the
// process reads on. A wrong byte is damage, or it changes nothing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "state/count_store.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

class TableCheckTest : public ::testing::Test {
 protected:
  TableCheckTest() {
    auto store = open_count_store(*disk_, path_, OpenMode::kCreate, options());
    EXPECT_TRUE(store.ok()) << store.status();
    const std::array<UserClicks, 3> changed{{{kNullUser, 2}, {1, 5}, {2, 10}}};
    EXPECT_TRUE((*store)->commit({.batch = 0, .record = "record", .changed = changed}).ok());
    sum_ = *(*store)->sum_of_file_digests();
    file_ = path_ + "/" + (*store)->table_files().at(0).name;
    store->reset();
    bytes_ = *read_file(*disk_, file_);
  }
  static CountStoreOptions options() {
    CountStoreOptions options;
    options.ingest_above_users = 0;
    return options;
  }
  // What a reader finds with `wrong` in the file at `at`.
  absl::StatusOr<Digest> read_with(std::size_t at, std::string_view wrong) {
    std::string bytes = bytes_;
    bytes.replace(at, wrong.size(), wrong);
    std::ofstream(file_, std::ios::binary) << bytes;
    auto store = open_count_store(*disk_, path_, OpenMode::kReadOnly, options());
    if (!store.ok()) return store.status();
    if (auto record = (*store)->last_record(); !record.ok()) return record.status();
    return (*store)->sum_of_file_digests();
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  const std::string path_ = dir_.file("state");
  std::string file_;
  std::string bytes_;
  Digest sum_ = 0;
};

TEST_F(TableCheckTest, NoBytesAtTheEndOfAFileEndTheProcess) {
  ASSERT_EQ(*read_with(0, ""), sum_) << "whole";
  int refused = 0;
  for (const std::string_view wrong :
       {std::string_view("\xff\xff\xff\xff", 4), std::string_view("\x01\x00\x00\x80", 4),
        std::string_view("\x02", 1)}) {
    for (std::size_t at = bytes_.size() - std::min<std::size_t>(bytes_.size(), 1100);
         at + wrong.size() <= bytes_.size(); ++at) {
      const auto found = read_with(at, wrong);
      refused += found.ok() ? 0 : 1;
      if (found.ok()) {
        ASSERT_EQ(*found, sum_) << at;
      } else {
        ASSERT_TRUE(absl::IsDataLoss(found.status())) << at << ": " << found.status();
      }
    }
  }
  EXPECT_GT(refused, 1500) << "nearly every byte there is looked at";
}

TEST_F(TableCheckTest, DamagedPropertiesAreNamed) {
  const std::size_t at = bytes_.find("clicktally.");
  ASSERT_NE(at, bytes_.npos);
  const auto found = read_with(at, "X");
  EXPECT_TRUE(absl::IsDataLoss(found.status())) << found.status();
  EXPECT_NE(message_of(found.status()).find("its properties"), std::string_view::npos)
      << found.status();
}

}  // namespace
}  // namespace clicktally
