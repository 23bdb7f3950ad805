// A disk that stops at its k-th operation that changes anything: from then on each of them fails,
// as if the process had ended there. Reading goes on. Nothing is forgotten; losing what was not
// synced is another disk's work.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/disk.h"

namespace clicktally {

class StoppingDisk : public Disk {
 public:
  // `stop_at` 0: never.
  StoppingDisk(Disk& disk, int stop_at, absl::Status why = absl::ResourceExhaustedError("stopped"))
      : disk_(disk), stop_at_(stop_at), why_(std::move(why)) {}

  int operations() const { return operations_; }
  bool stopped() const { return stop_at_ > 0 && operations_ >= stop_at_; }

  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return disk_.open_random(path);
  }
  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create create) override {
    if (!may()) return why_;
    auto file = disk_.open_append(path, create);
    if (!file.ok()) return file.status();
    return std::make_unique<File>(*this, std::move(*file));
  }
  absl::Status overwrite(const std::string& path, std::string_view bytes) override {
    return may() ? disk_.overwrite(path, bytes) : why_;
  }
  absl::Status rename(const std::string& from, const std::string& to) override {
    return may() ? disk_.rename(from, to) : why_;
  }
  absl::Status link(const std::string& from, const std::string& to) override {
    return may() ? disk_.link(from, to) : why_;
  }
  absl::Status remove(const std::string& path) override {
    return may() ? disk_.remove(path) : why_;
  }
  absl::Status create_dir(const std::string& path) override {
    return may() ? disk_.create_dir(path) : why_;
  }
  absl::Status remove_dir(const std::string& path) override {
    return may() ? disk_.remove_dir(path) : why_;
  }
  absl::Status sync_dir(const std::string& path) override {
    return may() ? disk_.sync_dir(path) : why_;
  }
  absl::StatusOr<std::vector<std::string>> list(const std::string& path) override {
    return disk_.list(path);
  }
  absl::StatusOr<FileInfo> stat(const std::string& path) override { return disk_.stat(path); }
  absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string& path, LockMode mode,
                                                     std::optional<LockMode>* holder) override {
    return disk_.lock_dir(path, mode, holder);
  }
  absl::StatusOr<bool> is_network_file_system(const std::string& path) override {
    return disk_.is_network_file_system(path);
  }

 private:
  class File final : public AppendFile {
   public:
    File(StoppingDisk& disk, std::unique_ptr<AppendFile> file)
        : disk_(disk), file_(std::move(file)) {}
    absl::Status append(std::string_view bytes) override {
      return disk_.may() ? file_->append(bytes) : disk_.why_;
    }
    absl::Status truncate(std::uint64_t size) override {
      return disk_.may() ? file_->truncate(size) : disk_.why_;
    }
    absl::Status sync() override { return disk_.may() ? file_->sync() : disk_.why_; }
    absl::Status close() override { return file_->close(); }

   private:
    StoppingDisk& disk_;
    std::unique_ptr<AppendFile> file_;
  };

  bool may() {
    const int now = ++operations_;
    return stop_at_ == 0 || now < stop_at_;
  }

  Disk& disk_;
  const int stop_at_;
  const absl::Status why_;
  std::atomic<int> operations_{0};
};

}  // namespace clicktally
