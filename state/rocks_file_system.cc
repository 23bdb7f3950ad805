#include "state/rocks_file_system.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "state/rocks_slice.h"
#include "state/rocks_table_check.h"

namespace clicktally {
namespace {

using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Debug = rocksdb::IODebugContext;

// Under which RocksDB looks for a table that is missing. We write none, so what is there is no
// table of this state.
constexpr std::string_view kLevelDbSuffix = ".ldb";

IOStatus no_leveldb(const std::string& path) {
  return IOStatus::PathNotFound(path + ": cannot open: No such file or directory");
}

class RandomAdapter final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAdapter(RocksFileSystem& system, std::shared_ptr<const RandomFile> file)
      : system_(system), file_(std::move(file)) {}

  IOStatus Read(std::uint64_t offset, std::size_t length, const IOOptions& /*options*/,
                Slice* result, char* scratch, Debug* /*debug*/) const override {
    auto got = file_->read_at(offset, length, scratch);
    *result = Slice(scratch, got.ok() ? *got : 0);
    return system_.io_status(got.status());
  }

 private:
  RocksFileSystem& system_;
  const std::shared_ptr<const RandomFile> file_;
};

// A file that is held in memory from its opening on: no read of it can fail.
class HeldFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit HeldFile(std::string bytes) : bytes_(std::move(bytes)) {}

  IOStatus Read(std::uint64_t offset, std::size_t length, const IOOptions& /*options*/,
                Slice* result, char* scratch, Debug* /*debug*/) const override {
    const std::size_t from = std::min<std::uint64_t>(offset, bytes_.size());
    const std::size_t got = std::min(length, bytes_.size() - from);
    std::memcpy(scratch, bytes_.data() + from, got);
    *result = Slice(scratch, got);
    return IOStatus::OK();
  }

 private:
  const std::string bytes_;
};

class SequentialAdapter final : public rocksdb::FSSequentialFile {
 public:
  SequentialAdapter(RocksFileSystem& system, std::unique_ptr<RandomFile> file)
      : system_(system), file_(std::move(file)) {}

  IOStatus Read(std::size_t length, const IOOptions& /*options*/, Slice* result, char* scratch,
                Debug* /*debug*/) override {
    auto got = file_->read_at(position_, length, scratch);
    *result = Slice(scratch, got.ok() ? *got : 0);
    position_ += result->size();
    return system_.io_status(got.status());
  }
  IOStatus Skip(std::uint64_t length) override {
    position_ += length;
    return IOStatus::OK();
  }

 private:
  RocksFileSystem& system_;
  std::unique_ptr<RandomFile> file_;
  std::uint64_t position_ = 0;
};

class WritableAdapter final : public rocksdb::FSWritableFile {
 public:
  WritableAdapter(RocksFileSystem& system, std::unique_ptr<AppendFile> file, std::uint64_t size)
      : system_(system), file_(std::move(file)), size_(size) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions& /*options*/, Debug* /*debug*/) override {
    const IOStatus status = system_.change([&] { return file_->append(view_of(data)); });
    if (status.ok()) size_ += data.size();
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*info*/, Debug* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& /*options*/, Debug* /*debug*/) override {
    const IOStatus status = system_.change([&] { return file_->truncate(size); });
    if (status.ok()) size_ = size;
    return status;
  }
  IOStatus Flush(const IOOptions& /*options*/, Debug* /*debug*/) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions& /*options*/, Debug* /*debug*/) override {
    return system_.change([&] { return file_->sync(); });
  }
  IOStatus Close(const IOOptions& /*options*/, Debug* /*debug*/) override {
    return system_.change([&] { return file_->close(); });
  }
  std::uint64_t GetFileSize(const IOOptions& /*options*/, Debug* /*debug*/) override {
    return size_;
  }

 private:
  RocksFileSystem& system_;
  std::unique_ptr<AppendFile> file_;
  std::uint64_t size_;
};

class DirectoryAdapter final : public rocksdb::FSDirectory {
 public:
  DirectoryAdapter(RocksFileSystem& system, Disk& disk, std::string path)
      : system_(system), disk_(disk), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& /*options*/, Debug* /*debug*/) override {
    return system_.change([&] { return disk_.sync_dir(path_); });
  }
  IOStatus Close(const IOOptions& /*options*/, Debug* /*debug*/) override { return IOStatus::OK(); }

 private:
  RocksFileSystem& system_;
  Disk& disk_;
  std::string path_;
};

// RocksDB's own lock guards nothing here: the checkpoint directory's flock is the one lock.
class NoLock final : public rocksdb::FileLock {};

}  // namespace

absl::Status RocksFileSystem::first_disk_error() const {
  const std::lock_guard lock(mutex_);
  return first_disk_error_;
}

IOStatus RocksFileSystem::io_status(const absl::Status& status) {
  if (status.ok()) return IOStatus::OK();
  const std::string message(status.message());
  if (absl::IsNotFound(status)) return IOStatus::PathNotFound(message);
  if (!absl::IsAlreadyExists(status) && !absl::IsUnimplemented(status)) {
    const std::lock_guard lock(mutex_);
    if (first_disk_error_.ok()) first_disk_error_ = status;
  }
  return IOStatus::IOError(message);
}

IOStatus RocksFileSystem::change(const std::function<absl::Status()>& make) {
  {
    const std::lock_guard lock(mutex_);
    if (!refused_change_.ok()) return IOStatus::IOError(std::string(refused_change_.message()));
  }
  const absl::Status made = make();
  if (absl::IsResourceExhausted(made) || absl::IsPermissionDenied(made)) {
    const std::lock_guard lock(mutex_);
    if (refused_change_.ok()) refused_change_ = made;
  }
  return io_status(made);
}

IOStatus RocksFileSystem::NewSequentialFile(const std::string& path, const Files&,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                            Debug*) {
  auto file = disk_.open_random(path);
  if (file.ok()) *result = std::make_unique<SequentialAdapter>(*this, std::move(*file));
  return io_status(file.status());
}

IOStatus RocksFileSystem::NewRandomAccessFile(const std::string& path, const Files&,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                              Debug*) {
  if (path.ends_with(kStagedSuffix)) {
    auto bytes = read_file(disk_, path, std::numeric_limits<std::size_t>::max());
    if (bytes.ok()) *result = std::make_unique<HeldFile>(*std::move(bytes));
    return io_status(bytes.status());
  }
  if (path.ends_with(kLevelDbSuffix)) return no_leveldb(path);
  auto opened = disk_.open_random(path);
  if (!opened.ok()) return io_status(opened.status());
  const std::shared_ptr<const RandomFile> file = std::move(*opened);
  if (path.ends_with(".sst")) {
    auto info = disk_.stat(path);
    if (!info.ok()) return io_status(info.status());
    const absl::Status whole = check_table_properties(*file, info->size_bytes, path);
    if (absl::IsDataLoss(whole)) return IOStatus::Corruption(std::string(whole.message()));
    if (!whole.ok()) return io_status(whole);
    const std::lock_guard lock(mutex_);
    std::erase_if(tables_, [](const auto& table) { return table.second.file.expired(); });
    tables_.insert({path, {file, info->size_bytes}});
  }
  *result = std::make_unique<RandomAdapter>(*this, file);
  return IOStatus::OK();
}

std::optional<OpenTable> RocksFileSystem::open_table(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  std::optional<OpenTable> last;
  const auto [begin, end] = tables_.equal_range(path);
  for (auto table = begin; table != end; ++table) {
    if (auto file = table->second.file.lock()) last = {std::move(file), table->second.size_bytes};
  }
  return last;
}

IOStatus RocksFileSystem::NewWritableFile(const std::string& path, const Files&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result,
                                          Debug*) {
  return change([&] {
    auto file = disk_.open_append(path, Disk::Create::kTruncate);
    if (file.ok()) *result = std::make_unique<WritableAdapter>(*this, std::move(*file), 0);
    return file.status();
  });
}

IOStatus RocksFileSystem::ReopenWritableFile(const std::string& path, const Files&,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                                             Debug*) {
  return change([&] {
    auto file = disk_.open_append(path, Disk::Create::kKeep);
    if (!file.ok()) return file.status();
    auto info = disk_.stat(path);
    if (!info.ok()) return info.status();
    *result = std::make_unique<WritableAdapter>(*this, std::move(*file), info->size_bytes);
    return absl::OkStatus();
  });
}

IOStatus RocksFileSystem::NewDirectory(const std::string& path, const Io&,
                                       std::unique_ptr<rocksdb::FSDirectory>* result, Debug*) {
  *result = std::make_unique<DirectoryAdapter>(*this, disk_, path);
  return IOStatus::OK();
}

IOStatus RocksFileSystem::FileExists(const std::string& path, const Io&, Debug*) {
  // We keep no archived logs. RocksDB 7.8 ends the process at an assertion if it is refused a look.
  if (path.ends_with("/archive")) return IOStatus::NotFound();
  const absl::Status status = disk_.stat(path).status();
  return absl::IsNotFound(status) ? IOStatus::NotFound() : io_status(status);
}

IOStatus RocksFileSystem::GetChildren(const std::string& path, const Io&,
                                      std::vector<std::string>* result, Debug*) {
  auto names = disk_.list(path);
  if (names.ok()) *result = std::move(*names);
  return absl::IsNotFound(names.status()) ? IOStatus::NotFound() : io_status(names.status());
}

IOStatus RocksFileSystem::DeleteFile(const std::string& path, const Io&, Debug*) {
  return change([&] { return disk_.remove(path); });
}

IOStatus RocksFileSystem::CreateDir(const std::string& path, const Io&, Debug*) {
  return change([&] { return disk_.create_dir(path); });
}

IOStatus RocksFileSystem::CreateDirIfMissing(const std::string& path, const Io&, Debug*) {
  auto info = disk_.stat(path);
  if (info.ok() && info->is_directory) return IOStatus::OK();
  return change([&] { return disk_.create_dir(path); });
}

IOStatus RocksFileSystem::DeleteDir(const std::string& path, const Io&, Debug*) {
  return change([&] { return disk_.remove_dir(path); });
}

IOStatus RocksFileSystem::GetFileSize(const std::string& path, const Io&, std::uint64_t* size,
                                      Debug*) {
  if (path.ends_with(kLevelDbSuffix)) return no_leveldb(path);
  auto info = disk_.stat(path);
  if (info.ok()) *size = info->size_bytes;
  return io_status(info.status());
}

IOStatus RocksFileSystem::GetFileModificationTime(const std::string& path, const Io&,
                                                  std::uint64_t* time_s, Debug*) {
  auto info = disk_.stat(path);
  if (info.ok()) *time_s = static_cast<std::uint64_t>(info->modified_s);
  return io_status(info.status());
}

IOStatus RocksFileSystem::RenameFile(const std::string& from, const std::string& to, const Io&,
                                     Debug*) {
  return change([&] { return disk_.rename(from, to); });
}

IOStatus RocksFileSystem::LinkFile(const std::string& from, const std::string& to, const Io&,
                                   Debug*) {
  return change([&] { return disk_.link(from, to); });
}

IOStatus RocksFileSystem::LockFile(const std::string&, const Io&, rocksdb::FileLock** lock,
                                   Debug*) {
  *lock = new NoLock;  // freed by UnlockFile, as RocksDB's interface has it
  return IOStatus::OK();
}

IOStatus RocksFileSystem::UnlockFile(rocksdb::FileLock* lock, const Io&, Debug*) {
  delete lock;
  return IOStatus::OK();
}

IOStatus RocksFileSystem::GetTestDirectory(const Io&, std::string*, Debug*) {
  return IOStatus::NotSupported();
}

IOStatus RocksFileSystem::NewLogger(const std::string&, const Io&,
                                    std::shared_ptr<rocksdb::Logger>*, Debug*) {
  return IOStatus::NotSupported();  // RocksDB's log goes where ours goes
}

IOStatus RocksFileSystem::GetAbsolutePath(const std::string& path, const Io&, std::string* result,
                                          Debug*) {
  *result = path;  // only shown to people; the checkpoint can be moved
  return IOStatus::OK();
}

IOStatus RocksFileSystem::IsDirectory(const std::string& path, const Io&, bool* is_directory,
                                      Debug*) {
  auto info = disk_.stat(path);
  if (info.ok()) *is_directory = info->is_directory;
  return io_status(info.status());
}

}  // namespace clicktally
