// The real disk. What a disk may do to us (forget, fail, garble) is tested where it matters, on top
// of the same seam.
#include "base/disk.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using absl::StatusCode;

std::string bytes_of(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class DiskTest : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return dir_.file(name); }
  std::vector<std::string> names() const { return *disk_->list(dir_.path()); }

  // `status` must be of `code`, and say in one line which path and why.
  static void expect_error(const absl::Status& status, StatusCode code, const std::string& path,
                           const std::string& why) {
    const std::string message(status.message());
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_NE(message.find(why), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
};

// --- Files ---------------------------------------------------------------------------------------

TEST_F(DiskTest, AppendedBytesAreReadBackAtAnyOffset) {
  auto file = disk_->open_append(at("a"), Disk::Create::kTruncate);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->append("01234").ok());
  ASSERT_TRUE((*file)->append("").ok());
  ASSERT_TRUE((*file)->append("56789\0x"s).ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE((*file)->close().ok());
  EXPECT_TRUE((*file)->close().ok());
  auto random = disk_->open_random(at("a"));
  ASSERT_TRUE(random.ok());
  char out[16] = {};
  EXPECT_EQ(*(*random)->read_at(3, 4, out), 4U);
  EXPECT_EQ(std::string(out, 4), "3456");
  EXPECT_EQ(*(*random)->read_at(9, 16, out), 3U);
  EXPECT_EQ(std::string(out, 3), "9\0x"s);
  EXPECT_EQ(*(*random)->read_at(12, 1, out), 0U);
  EXPECT_EQ(*(*random)->read_at(1000, 1, out), 0U);
}

TEST_F(DiskTest, AFileIsContinuedOrBegunAnewAsAsked) {
  write(at("a"), "old");
  {
    auto file = disk_->open_append(at("a"), Disk::Create::kKeep);
    ASSERT_TRUE((*file)->append("+more").ok());
    EXPECT_EQ(bytes_of(at("a")), "old+more");
    ASSERT_TRUE((*file)->truncate(4).ok());
    ASSERT_TRUE((*file)->append("end").ok());
    EXPECT_EQ(bytes_of(at("a")), "old+end");
  }
  auto file = disk_->open_append(at("a"), Disk::Create::kTruncate);
  EXPECT_EQ(bytes_of(at("a")), "");
}

TEST_F(DiskTest, WhatItMakesIsForItsOwnerAlone) {
  const mode_t before = ::umask(0);
  ASSERT_TRUE(disk_->open_append(at("file"), Disk::Create::kKeep).ok());
  ASSERT_TRUE(disk_->create_dir(at("folder")).ok());
  ASSERT_TRUE(publish_file(*disk_, dir_.path(), "published", "x").ok());
  ::umask(before);
  EXPECT_EQ(mode_of(at("file")), 0600U);
  EXPECT_EQ(mode_of(at("folder")), 0700U);
  EXPECT_EQ(mode_of(at("published")), 0600U);
}

TEST_F(DiskTest, OverwriteChangesTheFirstBytesInPlaceAndMakesNoFile) {
  write(at("a"), "abcdef");
  fs::create_hard_link(at("a"), at("same"));
  ASSERT_TRUE(disk_->overwrite(at("a"), "XYZ").ok());
  EXPECT_EQ(bytes_of(at("a")), "XYZdef");
  EXPECT_EQ(bytes_of(at("same")), "XYZdef");
  ASSERT_TRUE(disk_->overwrite(at("a"), "longer than it").ok());
  EXPECT_EQ(bytes_of(at("a")), "longer than it");
  expect_error(disk_->overwrite(at("none"), "x"), StatusCode::kNotFound, at("none"),
               "No such file");
  EXPECT_FALSE(fs::exists(at("none")));
}

TEST_F(DiskTest, NamesAreMovedLinkedAndRemoved) {
  write(at("a"), "one");
  write(at("b"), "two");
  ASSERT_TRUE(disk_->link(at("a"), at("c")).ok());
  EXPECT_EQ(bytes_of(at("c")), "one");
  ASSERT_TRUE(disk_->rename(at("a"), at("b")).ok());
  EXPECT_EQ(bytes_of(at("b")), "one");
  EXPECT_EQ(names(), (std::vector{"b"s, "c"s}));
  ASSERT_TRUE(disk_->remove(at("b")).ok());
  ASSERT_TRUE(disk_->create_dir(at("d")).ok());
  EXPECT_TRUE(disk_->sync_dir(at("d")).ok());
  ASSERT_TRUE(disk_->remove_dir(at("d")).ok());
  EXPECT_EQ(names(), std::vector{"c"s});
}

TEST_F(DiskTest, AListIsSortedAndStatSaysWhatAFileIs) {
  for (const std::string& name : {"b"s, "a"s, ".hidden"s, "B"s, "10"s, "9"s}) write(at(name), name);
  EXPECT_EQ(names(), (std::vector{".hidden"s, "10"s, "9"s, "B"s, "a"s, "b"s}));
  write(at("a"), "12345");
  fs::create_symlink(dir_.path(), at("link"));
  const FileInfo file = *disk_->stat(at("a"));
  EXPECT_EQ(file.size_bytes, 5U);
  EXPECT_FALSE(file.is_directory);
  EXPECT_EQ(file.owner, ::geteuid());
  EXPECT_NEAR(static_cast<double>(file.modified_s), static_cast<double>(::time(nullptr)), 60);
  EXPECT_TRUE(disk_->stat(dir_.path())->is_directory);
  EXPECT_FALSE(disk_->stat(at("link"))->is_directory);
  EXPECT_TRUE(exists(*disk_, at("a")));
  EXPECT_FALSE(exists(*disk_, at("none")));
}

TEST_F(DiskTest, ReadFileReturnsTheWholeOfASmallFileAndRefusesALargerOne) {
  const std::string bytes = "a\0b\n"s + std::string(100'000, 'x');
  write(at("a"), bytes);
  write(at("empty"), "");
  EXPECT_EQ(*read_file(*disk_, at("a")), bytes);
  EXPECT_EQ(*read_file(*disk_, at("a"), bytes.size()), bytes);
  EXPECT_EQ(*read_file(*disk_, at("empty")), "");
  expect_error(read_file(*disk_, at("a"), bytes.size() - 1).status(), StatusCode::kDataLoss,
               at("a"), "100004");
  expect_error(read_file(*disk_, at("none")).status(), StatusCode::kNotFound, at("none"), "");
}

TEST_F(DiskTest, ALocalFileSystemIsNoNetworkFileSystem) {
  EXPECT_FALSE(*disk_->is_network_file_system(dir_.path()));
  EXPECT_EQ(disk_->is_network_file_system(at("none")).status().code(), StatusCode::kNotFound);
}

// --- Errors: each says what the caller does next -------------------------------------------------

TEST_F(DiskTest, AMissingFileIsNotFoundWhateverIsAskedOfIt) {
  const std::string none = at("none");
  const std::vector<absl::Status> all{
      disk_->open_random(none).status(),
      disk_->rename(none, at("x")),
      disk_->link(none, at("x")),
      disk_->remove(none),
      disk_->remove_dir(none),
      disk_->sync_dir(none),
      disk_->list(none).status(),
      disk_->stat(none).status(),
      disk_->lock_dir(none, Disk::LockMode::kShared, nullptr).status()};
  for (const absl::Status& status : all) {
    expect_error(status, StatusCode::kNotFound, none, "No such file or directory");
  }
  const std::string inside = at("none/file");
  expect_error(disk_->open_append(inside, Disk::Create::kKeep).status(), StatusCode::kNotFound,
               inside, "No such file");
}

TEST_F(DiskTest, ANameThatIsTakenAlreadyExists) {
  write(at("a"), "");
  ASSERT_TRUE(disk_->create_dir(at("d")).ok());
  write(at("d/file"), "");
  expect_error(disk_->create_dir(at("d")), StatusCode::kAlreadyExists, at("d"), "File exists");
  expect_error(disk_->link(at("d/file"), at("a")), StatusCode::kAlreadyExists, at("d/file"),
               "exists");
  expect_error(disk_->remove_dir(at("d")), StatusCode::kAlreadyExists, at("d"), "not empty");
}

TEST_F(DiskTest, ARefusedRightIsPermissionDenied) {
  ASSERT_TRUE(disk_->create_dir(at("d")).ok());
  expect_error(disk_->link(at("d"), at("e")), StatusCode::kPermissionDenied, at("d"),
               "Operation not permitted");
  if (::geteuid() == 0) return;  // nothing below is refused to root
  write(at("a"), "");
  fs::permissions(at("a"), fs::perms::none);
  expect_error(disk_->open_random(at("a")).status(), StatusCode::kPermissionDenied, at("a"),
               "Permission denied");
}

TEST_F(DiskTest, AFileWhereADirectoryIsNeededIsAWrongPath) {
  write(at("a"), "");
  const std::vector<absl::Status> all{
      disk_->stat(at("a/b")).status(), disk_->create_dir(at("a/b")), disk_->list(at("a")).status(),
      disk_->lock_dir(at("a"), Disk::LockMode::kExclusive, nullptr).status()};
  for (const absl::Status& status : all) {
    expect_error(status, StatusCode::kFailedPrecondition, at("a"), "Not a directory");
  }
}

TEST_F(DiskTest, EverythingElseADiskSaysIsExhaustionAndNeverDamage) {
  auto full = disk_->open_append("/dev/full", Disk::Create::kKeep);
  ASSERT_TRUE(full.ok()) << full.status();
  expect_error((*full)->append("x"), StatusCode::kResourceExhausted, "/dev/full", "No space left");
  expect_error(disk_->overwrite("/dev/full", "x"), StatusCode::kResourceExhausted, "/dev/full", "");

  write(at("a"), "");
  expect_error(disk_->stat(at(std::string(300, 'x'))).status(), StatusCode::kResourceExhausted,
               "xxx", "too long");

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = disk_->open_random(at("a")).status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  expect_error(status, StatusCode::kResourceExhausted, at("a"), "Too many open files");
}

TEST_F(DiskTest, NoFileIsOpenedThroughALinkThatStandsInItsPlace) {
  write(at("secret"), "secret");
  fs::create_symlink(at("secret"), at("link"));
  fs::create_symlink(at("new"), at("dangling"));
  EXPECT_FALSE(disk_->open_random(at("link")).ok());
  EXPECT_FALSE(disk_->open_append(at("link"), Disk::Create::kTruncate).ok());
  EXPECT_FALSE(disk_->open_append(at("dangling"), Disk::Create::kKeep).ok());
  EXPECT_FALSE(disk_->overwrite(at("link"), "x").ok());
  EXPECT_EQ(bytes_of(at("secret")), "secret");
  EXPECT_FALSE(fs::exists(at("new")));
}

TEST_F(DiskTest, WhatIsNoFileIsDamageAndNeverWaitedFor) {
  write(at("a"), "a");
  fs::create_symlink(at("a"), at("link"));
  fs::create_directory(at("folder"));
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  for (const auto& [name, kind] : {std::pair("link"s, "a symbolic link"s),
                                   {"folder"s, "a directory"s},
                                   {"fifo"s, "a FIFO"s}}) {
    const std::string words = kind + " where a file should be";
    expect_error(disk_->open_random(at(name)).status(), StatusCode::kDataLoss, at(name), words);
    expect_error(read_file(*disk_, at(name)).status(), StatusCode::kDataLoss, at(name), words);
    expect_error(disk_->open_append(at(name), Disk::Create::kTruncate).status(),
                 StatusCode::kDataLoss, at(name), words);
  }
  expect_error(disk_->overwrite(at("link"), "x"), StatusCode::kDataLoss, at("link"),
               "a symbolic link");
  expect_error(disk_->stat(at("none") + "/.").status(), StatusCode::kNotFound,
               at("none") + ": cannot stat", "");
}

}  // namespace
}  // namespace clicktally
