// RocksDB's FileSystem on top of our Disk, so that one seam sees every file operation of the
// program. Private to this room.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/disk.h"

namespace clicktally {

// How the name of a table file ends that is built aside, to be ingested. RocksDB 7.8 does not look
// at the status of the iterator with which it asks such a file for its first and last key: a read
// that failed there would leave the file's users out of every later answer, or end the process at
// an assertion. So these files are read whole, into memory, when they are opened for reading, and a
// disk that refuses ends the commit before anything refers to the file.
inline constexpr std::string_view kStagedSuffix = ".staged";

// A table file as it was when RocksDB opened it, whatever its name stands for since.
struct OpenTable {
  std::shared_ptr<const RandomFile> file;
  std::uint64_t size_bytes = 0;
};

class RocksFileSystem final : public rocksdb::FileSystem {
 public:
  explicit RocksFileSystem(Disk& disk) : disk_(disk) {}

  // The one that was opened last under that path and is open still.
  std::optional<OpenTable> open_table(const std::string& path) const;

  // The first error the disk gave that is not proof of damage (anything but a missing file).
  // RocksDB rewords errors, some of them into corruption; the disk's own word decides.
  absl::Status first_disk_error() const;
  rocksdb::IOStatus io_status(const absl::Status& status);

  // Makes a change on the disk, unless one was refused before: then nothing is changed any more.
  // RocksDB cleans up after a refused write. If that was the sync of a MANIFEST, what it removes
  // are files that the MANIFEST names already: a passing error would have become damage.
  rocksdb::IOStatus change(const std::function<absl::Status()>& make);

  const char* Name() const override { return "clicktally"; }

  using Files = rocksdb::FileOptions;
  using Io = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const Files&,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      Debug*) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const Files&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        Debug*) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const Files&,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    Debug*) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const Files&,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       Debug*) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const Io&,
                                 std::unique_ptr<rocksdb::FSDirectory>* result, Debug*) override;
  rocksdb::IOStatus FileExists(const std::string& path, const Io&, Debug*) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const Io&,
                                std::vector<std::string>* result, Debug*) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const Io&, Debug*) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const Io&, Debug*) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const Io&, Debug*) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const Io&, Debug*) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const Io&, std::uint64_t* size,
                                Debug*) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& path, const Io&,
                                            std::uint64_t* time_s, Debug*) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const Io&,
                               Debug*) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, const Io&,
                             Debug*) override;
  rocksdb::IOStatus LockFile(const std::string& path, const Io&, rocksdb::FileLock** lock,
                             Debug*) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const Io&, Debug*) override;
  rocksdb::IOStatus GetTestDirectory(const Io&, std::string* path, Debug*) override;
  rocksdb::IOStatus NewLogger(const std::string& path, const Io&,
                              std::shared_ptr<rocksdb::Logger>* result, Debug*) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const Io&, std::string* result,
                                    Debug*) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const Io&, bool* is_directory,
                                Debug*) override;

 private:
  Disk& disk_;
  mutable std::mutex mutex_;
  absl::Status first_disk_error_;  // guarded by mutex_, as the next
  absl::Status refused_change_;
  struct NamedTable {
    std::weak_ptr<const RandomFile> file;
    std::uint64_t size_bytes;
  };
  std::multimap<std::string, NamedTable> tables_;  // of one name in the order of their opening
};

}  // namespace clicktally
