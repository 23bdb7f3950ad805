// What is built on the seam: publishing, trees, the read-only view, and locks between processes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
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

// --- publish_file --------------------------------------------------------------------------------

// Passes the operations that publish_file needs to the real disk, notes them, and refuses one.
class NotingDisk final : public Disk {
 public:
  explicit NotingDisk(int refused = -1) : refused_(refused) {}

  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create create) override {
    if (absl::Status status = note("open"); !status.ok()) return status;
    auto file = real_->open_append(path, create);
    if (!file.ok()) return file.status();
    return std::make_unique<File>(*this, std::move(*file));
  }
  absl::Status rename(const std::string& from, const std::string& to) override {
    const absl::Status status = note("rename");
    return status.ok() ? real_->rename(from, to) : status;
  }
  absl::Status sync_dir(const std::string& path) override {
    const absl::Status status = note("sync_dir");
    return status.ok() ? real_->sync_dir(path) : status;
  }

  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string&) override {
    return unexpected();
  }
  absl::Status overwrite(const std::string&, std::string_view) override { return unexpected(); }
  absl::Status link(const std::string&, const std::string&) override { return unexpected(); }
  absl::Status remove(const std::string&) override { return unexpected(); }
  absl::Status create_dir(const std::string&) override { return unexpected(); }
  absl::Status remove_dir(const std::string&) override { return unexpected(); }
  absl::StatusOr<std::vector<std::string>> list(const std::string&) override {
    return unexpected();
  }
  absl::StatusOr<FileInfo> stat(const std::string&) override { return unexpected(); }
  absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string&, LockMode,
                                                     std::optional<LockMode>*) override {
    return unexpected();
  }
  absl::StatusOr<bool> is_network_file_system(const std::string&) override { return unexpected(); }

  const std::vector<std::string>& notes() const { return notes_; }

 private:
  class File final : public AppendFile {
   public:
    File(NotingDisk& disk, std::unique_ptr<AppendFile> real)
        : disk_(disk), real_(std::move(real)) {}
    absl::Status append(std::string_view bytes) override {
      const absl::Status status = disk_.note("append");
      return status.ok() ? real_->append(bytes) : status;
    }
    absl::Status truncate(std::uint64_t) override { return unexpected(); }
    absl::Status sync() override {
      const absl::Status status = disk_.note("sync");
      return status.ok() ? real_->sync() : status;
    }
    absl::Status close() override {
      const absl::Status status = disk_.note("close");
      return status.ok() ? real_->close() : status;
    }

   private:
    NotingDisk& disk_;
    std::unique_ptr<AppendFile> real_;
  };

  static absl::Status unexpected() { return absl::InternalError("not expected"); }
  absl::Status note(const char* operation) {
    const bool refuse = static_cast<int>(notes_.size()) == refused_;
    notes_.emplace_back(operation);
    return refuse ? absl::ResourceExhaustedError("refused") : absl::OkStatus();
  }

  std::unique_ptr<Disk> real_ = make_posix_disk();
  std::vector<std::string> notes_;
  int refused_;
};

TEST(PublishFile, WritesSyncsRenamesAndSyncsTheDirectoryInThisOrder) {
  const TempDir dir;
  NotingDisk disk;
  ASSERT_TRUE(publish_file(disk, dir.path(), "job.json", "new").ok());
  EXPECT_EQ(disk.notes(),
            (std::vector{"open"s, "append"s, "sync"s, "close"s, "rename"s, "sync_dir"s}));
  EXPECT_EQ(bytes_of(dir.file("job.json")), "new");
  EXPECT_EQ(*make_posix_disk()->list(dir.path()), std::vector{"job.json"s});
}

TEST(PublishFile, ThatFailsAtAnyStepLeavesTheOldOrTheNewBytesWholeAndCanBeRepeated) {
  for (int step = 0; step < 6; ++step) {
    const TempDir dir;
    write(dir.file("job.json"), "old");
    NotingDisk failing(step);
    EXPECT_EQ(publish_file(failing, dir.path(), "job.json", "new").code(),
              StatusCode::kResourceExhausted);
    EXPECT_EQ(bytes_of(dir.file("job.json")), step < 5 ? "old" : "new") << step;
    NotingDisk working;
    EXPECT_TRUE(publish_file(working, dir.path(), "job.json", "newest").ok());
    EXPECT_EQ(bytes_of(dir.file("job.json")), "newest") << step;
  }
}

// --- remove_tree ---------------------------------------------------------------------------------

class RemoveTreeTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
};

TEST_F(RemoveTreeTest, RemovesADirectoryWithAllInItAndNothingBesideIt) {
  fs::create_directories(dir_.file("tree/a/b/c"));
  fs::create_directories(dir_.file("tree/empty"));
  write(dir_.file("tree/a/b/file"), "x");
  write(dir_.file("tree/.hidden"), "x");
  write(dir_.file("tree2"), "stays");
  ASSERT_TRUE(remove_tree(*disk_, dir_.file("tree")).ok());
  EXPECT_EQ(*disk_->list(dir_.path()), std::vector{"tree2"s});
}

TEST_F(RemoveTreeTest, NeverFollowsALinkOutOfIt) {
  fs::create_directories(dir_.file("tree/sub"));
  fs::create_directories(dir_.file("other"));
  write(dir_.file("other/file"), "stays");
  fs::create_directory_symlink(dir_.file("other"), dir_.file("tree/sub/directory"));
  fs::create_symlink(dir_.file("other/file"), dir_.file("tree/file"));
  fs::create_symlink(dir_.file("nowhere"), dir_.file("tree/dangling"));
  ASSERT_TRUE(remove_tree(*disk_, dir_.file("tree")).ok());
  EXPECT_EQ(*disk_->list(dir_.path()), std::vector{"other"s});
  EXPECT_EQ(bytes_of(dir_.file("other/file")), "stays");
}

TEST_F(RemoveTreeTest, OfALinkRemovesTheLinkAlone) {
  fs::create_directories(dir_.file("other"));
  write(dir_.file("other/file"), "stays");
  fs::create_directory_symlink(dir_.file("other"), dir_.file("tree"));
  ASSERT_TRUE(remove_tree(*disk_, dir_.file("tree")).ok());
  EXPECT_EQ(*disk_->list(dir_.path()), std::vector{"other"s});
  EXPECT_EQ(bytes_of(dir_.file("other/file")), "stays");
}

TEST_F(RemoveTreeTest, OfNothingIsFine) {
  EXPECT_TRUE(remove_tree(*disk_, dir_.file("none")).ok());
}

// --- Read-only -----------------------------------------------------------------------------------

TEST(ReadOnlyDisk, RefusesEveryChangeAndLeavesAllAsItWas) {
  const TempDir dir;
  write(dir.file("a"), "bytes");
  fs::create_directory(dir.file("d"));
  const auto real = make_posix_disk();
  const auto disk = make_read_only_disk(*real);
  const std::string a = dir.file("a");
  const std::vector<absl::Status> all{disk->open_append(a, Disk::Create::kKeep).status(),
                                      disk->open_append(a, Disk::Create::kTruncate).status(),
                                      disk->overwrite(a, "x"),
                                      disk->rename(a, dir.file("b")),
                                      disk->link(a, dir.file("b")),
                                      disk->remove(a),
                                      disk->create_dir(dir.file("e")),
                                      disk->remove_dir(dir.file("d")),
                                      disk->sync_dir(dir.path()),
                                      publish_file(*disk, dir.path(), "a", "x"),
                                      remove_tree(*disk, dir.path())};
  for (const absl::Status& status : all) {
    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << status;
    EXPECT_NE(std::string(status.message()).find(dir.path()), std::string::npos) << status;
  }
  EXPECT_EQ(bytes_of(a), "bytes");
  EXPECT_EQ(*real->list(dir.path()), (std::vector{"a"s, "d"s}));
}

TEST(ReadOnlyDisk, ReadsAsTheRealOneDoes) {
  const TempDir dir;
  write(dir.file("a"), "bytes");
  const auto real = make_posix_disk();
  const auto disk = make_read_only_disk(*real);
  EXPECT_EQ(*read_file(*disk, dir.file("a")), "bytes");
  EXPECT_EQ(*disk->list(dir.path()), std::vector{"a"s});
  EXPECT_EQ(disk->stat(dir.file("a"))->size_bytes, 5U);
  EXPECT_FALSE(*disk->is_network_file_system(dir.path()));
  EXPECT_TRUE(disk->lock_dir(dir.path(), Disk::LockMode::kShared, nullptr).ok());
}

// --- Locks ---------------------------------------------------------------------------------------

// Another process that holds a lock until it is killed.
class Holder {
 public:
  Holder(const std::string& path, Disk::LockMode mode) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto disk = make_posix_disk();
      const auto lock = disk->lock_dir(path, mode, nullptr);
      const char answer = lock.ok() ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) == 1) ::pause();
      ::_exit(0);
    }
    char answer = '?';
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { kill(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
};

class LockTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<DiskLock>> lock(Disk::LockMode mode) {
    return disk_->lock_dir(dir_.path(), mode, &holder_);
  }
  void expect_refused(Disk::LockMode mode, Disk::LockMode held, const std::string& pid) {
    holder_.reset();
    const auto status = lock(mode).status();
    EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status;
    EXPECT_EQ(std::string(status.message()), dir_.path() + ": in use by process " + pid);
    EXPECT_EQ(holder_, held);
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::optional<Disk::LockMode> holder_;
};

constexpr auto kExclusive = Disk::LockMode::kExclusive;
constexpr auto kShared = Disk::LockMode::kShared;

TEST_F(LockTest, I8_AWriterInAnotherProcessIsNamedByItsPidAndShutsOutAll) {
  const Holder writer(dir_.path(), kExclusive);
  expect_refused(kExclusive, kExclusive, writer.pid());
  expect_refused(kShared, kExclusive, writer.pid());
}

TEST_F(LockTest, I8_AReaderInAnotherProcessShutsOutWritersOnly) {
  const Holder reader(dir_.path(), kShared);
  expect_refused(kExclusive, kShared, reader.pid());
  EXPECT_TRUE(lock(kShared).ok());
}

TEST_F(LockTest, WhoDoesNotAskHowItIsHeldIsRefusedAllTheSame) {
  const Holder writer(dir_.path(), kExclusive);
  EXPECT_EQ(disk_->lock_dir(dir_.path(), kShared, nullptr).status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(LockTest, ALockEndsWithTheProcessThatHeldIt) {
  Holder writer(dir_.path(), kExclusive);
  ASSERT_FALSE(lock(kExclusive).ok());
  writer.kill();
  EXPECT_TRUE(lock(kExclusive).ok());
}

TEST_F(LockTest, ALockEndsWithItsObject) {
  {
    const auto first = lock(kExclusive);
    ASSERT_TRUE(first.ok());
    expect_refused(kExclusive, kExclusive, std::to_string(::getpid()));
  }
  EXPECT_TRUE(lock(kExclusive).ok());
}

TEST_F(LockTest, DirectoriesAreLockedEachForItselfAndEachByItsOwnHolder) {
  ASSERT_TRUE(disk_->create_dir(dir_.file("a")).ok());
  const Holder other(dir_.file("a"), kExclusive);
  EXPECT_TRUE(lock(kExclusive).ok());
  const Holder writer(dir_.path(), kExclusive);
  expect_refused(kExclusive, kExclusive, writer.pid());
  std::optional<Disk::LockMode> holder;
  EXPECT_EQ(std::string(disk_->lock_dir(dir_.file("a"), kExclusive, &holder).status().message()),
            dir_.file("a") + ": in use by process " + other.pid());
  EXPECT_EQ(std::string(disk_->lock_dir(dir_.file("a"), kExclusive, nullptr).status().message()),
            dir_.file("a") + ": in use by another process");
}

TEST_F(LockTest, LocksLeaveNoFilesBehind) {
  ASSERT_TRUE(lock(kExclusive).ok());
  EXPECT_TRUE(disk_->list(dir_.path())->empty());
}

}  // namespace
}  // namespace clicktally
