#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/disk.h"

namespace clicktally {
namespace {

// "x/." is x, followed if it is a link.
std::string_view as_given(std::string_view path) {
  if (path.size() > 2 && path.ends_with("/.")) path.remove_suffix(2);
  return path;
}

absl::Status errno_status(std::string_view what, const std::string& path, int error) {
  const std::string message = fmt::format("{}: cannot {}: {}", as_given(path), what,
                                          std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
    case ENOTEMPTY:
      return absl::AlreadyExistsError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case ENOTDIR:
      return absl::FailedPreconditionError(message);
    default:
      return absl::ResourceExhaustedError(message);
  }
}

absl::Status status_of(int result, std::string_view what, const std::string& path) {
  return result == 0 ? absl::OkStatus() : errno_status(what, path, errno);
}

absl::Status no_regular_file(std::string_view path, mode_t mode) {
  std::string_view kind = "a device";
  if (S_ISDIR(mode)) kind = "a directory";
  if (S_ISLNK(mode)) kind = "a symbolic link";
  if (S_ISFIFO(mode)) kind = "a FIFO";
  if (S_ISSOCK(mode)) kind = "a socket";
  return absl::DataLossError(fmt::format("{}: {} where a file should be", path, kind));
}

// Why open() refused: something that is no file is told by what it is, not by its errno.
absl::Status open_status(std::string_view what, const std::string& path, int error) {
  struct stat info {};
  const bool other = error == ELOOP || error == EISDIR || error == ENXIO;
  if (other && ::lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return no_regular_file(path, info.st_mode);
  }
  return errno_status(what, path, error);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class PosixRandomFile final : public RandomFile {
 public:
  PosixRandomFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  absl::StatusOr<std::size_t> read_at(std::uint64_t offset, std::size_t length,
                                      char* out) const override {
    std::size_t done = 0;
    while (done < length) {
      const ssize_t got =
          ::pread(fd_.get(), out + done, length - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_status("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class PosixAppendFile final : public AppendFile {
 public:
  PosixAppendFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  absl::Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno_status("write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return absl::OkStatus();
  }
  absl::Status truncate(std::uint64_t size) override {
    return status_of(::ftruncate(fd_.get(), static_cast<off_t>(size)), "truncate", path_);
  }
  absl::Status sync() override { return status_of(::fdatasync(fd_.get()), "sync", path_); }
  absl::Status close() override {
    const int fd = fd_.release();
    return fd < 0 ? absl::OkStatus() : status_of(::close(fd), "close", path_);
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class PosixDirLock final : public DiskLock {
 public:
  explicit PosixDirLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

struct Holder {
  std::string pid;
  std::optional<Disk::LockMode> mode;
};

// Who holds a flock on the file behind `fd`, from /proc/locks: lines such as
// "1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF". A file left behind could name a dead process;
// the kernel cannot.
Holder holder_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return {};
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(info.st_dev), minor(info.st_dev), info.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, pid, inode;
    words >> number >> kind >> advisory >> access >> pid >> inode;
    if (kind != "FLOCK" || inode != wanted) continue;
    return {pid, access == "READ" ? Disk::LockMode::kShared : Disk::LockMode::kExclusive};
  }
  return {};
}

class PosixDisk final : public Disk {
 public:
  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    // O_NONBLOCK: a FIFO would wait for its writer.
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.get() < 0) return open_status("open", path, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_status("stat", path, errno);
    if (!S_ISREG(info.st_mode)) return no_regular_file(path, info.st_mode);
    return std::make_unique<PosixRandomFile>(path, fd.release());
  }

  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create create) override {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                      (create == Create::kTruncate ? O_TRUNC : 0);
    const int fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) return open_status("open for writing", path, errno);
    return std::make_unique<PosixAppendFile>(path, fd);
  }

  absl::Status overwrite(const std::string& path, std::string_view bytes) override {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0) return open_status("open for writing", path, errno);
    const ssize_t put = ::pwrite(fd.get(), bytes.data(), bytes.size(), 0);
    if (put < 0) return errno_status("write", path, errno);
    if (static_cast<std::size_t>(put) != bytes.size()) return errno_status("write", path, ENOSPC);
    return absl::OkStatus();
  }

  absl::Status rename(const std::string& from, const std::string& to) override {
    return status_of(::rename(from.c_str(), to.c_str()), "rename", from);
  }
  absl::Status link(const std::string& from, const std::string& to) override {
    return status_of(::link(from.c_str(), to.c_str()), "link", from);
  }
  absl::Status remove(const std::string& path) override {
    return status_of(::unlink(path.c_str()), "remove", path);
  }
  absl::Status create_dir(const std::string& path) override {
    return status_of(::mkdir(path.c_str(), 0700), "create directory", path);
  }
  absl::Status remove_dir(const std::string& path) override {
    return status_of(::rmdir(path.c_str()), "remove directory", path);
  }

  absl::Status sync_dir(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return errno_status("open directory", path, errno);
    return status_of(::fsync(fd.get()), "sync directory", path);
  }

  absl::StatusOr<std::vector<std::string>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
    if (dir == nullptr) return errno_status("list", path, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return errno_status("list", path, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::StatusOr<FileInfo> stat(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return errno_status("stat", path, errno);
    return FileInfo{.size_bytes = static_cast<std::uint64_t>(info.st_size),
                    .modified_s = info.st_mtim.tv_sec,
                    .is_directory = S_ISDIR(info.st_mode),
                    .mode = info.st_mode & 07777,
                    .owner = info.st_uid};
  }

  absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string& path, LockMode mode,
                                                     std::optional<LockMode>* holder) override {
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return errno_status("open directory", path, errno);
    const int kind = mode == LockMode::kExclusive ? LOCK_EX : LOCK_SH;
    if (::flock(fd.get(), kind | LOCK_NB) == 0) {
      return std::make_unique<PosixDirLock>(fd.release());
    }
    if (errno != EWOULDBLOCK) return errno_status("lock", path, errno);
    if (holder == nullptr) return absl::AlreadyExistsError(path + ": in use by another process");
    const Holder held = holder_of(fd.get());
    *holder = held.mode;
    return absl::AlreadyExistsError(fmt::format(
        "{}: in use by {}", path, held.pid.empty() ? "another process" : "process " + held.pid));
  }

  absl::StatusOr<bool> is_network_file_system(const std::string& path) override {
    // Magic numbers from linux/magic.h and statfs(2): NFS, SMB (3), CIFS, AFS, Coda, NCP, 9P, Ceph,
    // Lustre, GFS2, OCFS2, FUSE (sshfs, s3fs and the like).
    static constexpr std::array<std::uint32_t, 14> kNetwork{
        0x6969,     0x517B,     0xFF534D42, 0xFE534D42, 0x5346414F, 0x73757245, 0x564C,
        0x01021997, 0x00C36400, 0x0BD00BD0, 0x01161970, 0x7461636F, 0x65735546, 0x6B414653};
    struct statfs info {};
    if (::statfs(path.c_str(), &info) != 0) return errno_status("statfs", path, errno);
    const auto type = static_cast<std::uint32_t>(info.f_type);
    return std::find(kNetwork.begin(), kNetwork.end(), type) != kNetwork.end();
  }
};

}  // namespace

std::uint32_t this_user() {
  return ::geteuid();
}

std::unique_ptr<Disk> make_posix_disk() {
  return std::make_unique<PosixDisk>();
}

}  // namespace clicktally
