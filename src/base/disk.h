// The one seam between the program and the disk. Our own files and, through an adapter in state/,
// every file of RocksDB go through it, so a test can count, fail, forget or garble any operation.
//
// Paths are plain strings. Errors name the path and the system's words. A missing file is
// kNotFound, a refused one kPermissionDenied, a file where a directory should be is
// kFailedPrecondition, a directory, link, FIFO or the like where a file should be is kDataLoss (and
// is never waited for nor followed), everything else the disk says (ENOSPC, EIO, EROFS, EMFILE,
// ...) is kResourceExhausted: none of these is proof of damage, and a caller must never treat it as
// such.
//
// Durability is as POSIX has it: bytes appended are durable after sync(), a name made, renamed,
// linked or removed is durable after sync_dir() of its directory. Ordered metadata (ext4, XFS) is
// assumed.
//
// Thread-safe, except that one file object is used by one thread at a time; RandomFile may be
// shared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clicktally {

class RandomFile {
 public:
  virtual ~RandomFile() = default;
  // Reads up to `length` bytes at `offset` into `out`; fewer only at the end of the file.
  virtual absl::StatusOr<std::size_t> read_at(std::uint64_t offset, std::size_t length,
                                              char* out) const = 0;
};

class AppendFile {
 public:
  virtual ~AppendFile() = default;  // closes; an error there is lost, so call close()
  virtual absl::Status append(std::string_view bytes) = 0;
  virtual absl::Status truncate(std::uint64_t size) = 0;
  virtual absl::Status sync() = 0;
  virtual absl::Status close() = 0;
};

// An exclusive or shared claim on a directory; given up when destroyed or when the process dies.
class DiskLock {
 public:
  virtual ~DiskLock() = default;
};

struct FileInfo {
  std::uint64_t size_bytes = 0;
  std::int64_t modified_s = 0;  // since the Unix epoch
  bool is_directory = false;
  std::uint32_t mode = 0;  // permission bits
  std::uint32_t owner = 0;
};

class Disk {
 public:
  enum class Create { kTruncate, kKeep };
  enum class LockMode { kExclusive, kShared };

  virtual ~Disk() = default;
  virtual absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) = 0;
  // Made with mode 0600 when it does not exist.
  virtual absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                                  Create create) = 0;
  // Overwrites the first bytes of an existing file in place, in one write, without sync.
  virtual absl::Status overwrite(const std::string& path, std::string_view bytes) = 0;
  virtual absl::Status rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status link(const std::string& from, const std::string& to) = 0;
  virtual absl::Status remove(const std::string& path) = 0;
  virtual absl::Status create_dir(const std::string& path) = 0;  // mode 0700, kAlreadyExists
  virtual absl::Status remove_dir(const std::string& path) = 0;  // an empty one
  virtual absl::Status sync_dir(const std::string& path) = 0;
  virtual absl::StatusOr<std::vector<std::string>> list(const std::string& path) = 0;  // sorted
  virtual absl::StatusOr<FileInfo> stat(const std::string& path) = 0;
  // Never waits. kAlreadyExists when another process holds it; then `*holder` says how, and the
  // message names its pid, if the kernel tells. With null it is not asked, which costs time.
  virtual absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string& path, LockMode mode,
                                                             std::optional<LockMode>* holder) = 0;
  // True for file systems whose locks or syncs cannot be trusted (NFS, SMB, FUSE, ...).
  virtual absl::StatusOr<bool> is_network_file_system(const std::string& path) = 0;
};

// Whose files the ones that we make are.
std::uint32_t this_user();

// The real one.
std::unique_ptr<Disk> make_posix_disk();

// `disk`, with every operation that changes something refused (kUnimplemented). Borrows `disk`.
std::unique_ptr<Disk> make_read_only_disk(Disk& disk);

// --- Built on the seam ---------------------------------------------------------------------------

// Whole small files. `publish_file` is write, sync, rename, sync directory: after it returns OK the
// file has the new bytes for good, and at any moment before it has either the old or the new ones.
absl::StatusOr<std::string> read_file(Disk& disk, const std::string& path,
                                      std::size_t longest = 16 << 20);
absl::Status publish_file(Disk& disk, const std::string& directory, const std::string& name,
                          std::string_view bytes);
// Makes `to`, with blocks of its own; its bytes are synced, its name is not.
absl::Status copy_file(Disk& disk, const std::string& from, const std::string& to);
// Like mkdir -p, each new name made durable in its parent.
absl::Status make_directories(Disk& disk, const std::string& path);
// The names that lead to a directory, durable, as far up as its owner's directories go: a run that
// was killed may have made them and not have synced them, so that they are there tells nothing. A
// directory that may not be read is passed over.
absl::Status sync_names(Disk& disk, const std::string& path);
bool exists(Disk& disk, const std::string& path);

// Removes a directory and all in it, never following a link out of it; a missing one is OK.
absl::Status remove_tree(Disk& disk, const std::string& path);

}  // namespace clicktally
