#include "tools/producer/click_truth.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace clicktally {
namespace {

class ClickTruthFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(std::filesystem::create_directories(folder_)); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  const std::string folder_ = testing::TempDir() + "click_truth_" +
                              testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
                              std::to_string(getpid());
  const std::string path_ = folder_ + "/truth.csv";
};

TEST_F(ClickTruthFile, HasTheNullGroupFirstThenUsersInOrderOfTheirNumbers) {
  ClickTruth truth;
  truth.add(10);
  truth.add(9);
  truth.add(10);
  truth.add(-4);
  truth.add(kNullUser, 12);
  ASSERT_TRUE(truth.save(path_).ok());
  EXPECT_EQ(bytes(), "user_id,total_clicks\n,12\n-4,1\n9,1\n10,2\n");
}

TEST_F(ClickTruthFile, OfNoClicksIsAHeader) {
  ASSERT_TRUE(ClickTruth().save(path_).ok());
  EXPECT_EQ(bytes(), "user_id,total_clicks\n");
  EXPECT_EQ(ClickTruth::load(path_)->users(), 0u);
}

TEST_F(ClickTruthFile, ComesBackAndAddsUp) {
  ClickTruth first;
  first.add(kNullUser, 2);
  first.add(7, 3'000'000'000);
  ASSERT_TRUE(first.save(path_).ok());

  absl::StatusOr<ClickTruth> sum = ClickTruth::load(path_);
  ASSERT_TRUE(sum.ok()) << sum.status();
  ClickTruth second;
  second.add(7);
  second.add(8);
  sum->add_all(second);
  EXPECT_EQ(sum->users(), 3u);
  EXPECT_EQ(sum->clicks_of(kNullUser), 2);
  EXPECT_EQ(sum->clicks_of(7), 3'000'000'001);
  EXPECT_EQ(sum->clicks_of(8), 1);
  EXPECT_EQ(sum->clicks_of(9), 0);
}

TEST_F(ClickTruthFile, IsRefusedNamingTheLineIfItIsNotOne) {
  const std::string header = "user_id,total_clicks\n";
  for (const std::string rows : {"1\n", "1,2,3\n", "x,1\n", "1,\n", "1,0\n", "1,-1\n", " 1,1\n",
                                 "2147483648,1\n", "2,1\n1,1\n", "1,1\n1,1\n", "1,1\n,1\n"}) {
    write(header + rows);
    const absl::Status status = ClickTruth::load(path_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << rows << status;
    EXPECT_NE(status.message().find(path_ + " line "), std::string::npos) << status;
  }
  write("1,1\n");
  EXPECT_TRUE(absl::IsInvalidArgument(ClickTruth::load(path_).status()));
}

TEST_F(ClickTruthFile, ThatCannotBeReplacedIsLeftAsItWas) {
  const std::string text = "user_id,total_clicks\n1,1\n";
  write(text);
  std::filesystem::create_symlink("/dev/full", path_ + ".partial");
  const absl::Status status = ClickTruth().save(path_);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find(path_), std::string::npos) << status;
  EXPECT_EQ(bytes(), text);
}

}  // namespace
}  // namespace clicktally
