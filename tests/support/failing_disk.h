// A disk that refuses operations, as a full or a broken one does: the k-th of those that a test has
// chosen, once or from then on for good. Every operation is counted, reading included.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/disk.h"

namespace clicktally {

class FailingDisk final : public Disk {
 public:
  enum class Kind { kRead, kWrite, kSync };
  struct Operation {
    Kind kind;
    std::string_view name;  // of the Disk's function
    std::string_view path;
  };
  struct Fault {
    int at = 0;  // of the chosen operations, from 1; 0: none is refused
    bool for_good = false;
    absl::Status why = absl::ResourceExhaustedError("Input/output error");
    std::function<bool(const Operation&)> chosen = [](const Operation&) { return true; };
  };

  FailingDisk(Disk& disk, Fault fault) : disk_(disk), fault_(std::move(fault)) {}

  // How many operations were chosen, whether refused or not.
  int operations() const { return operations_; }
  bool has_refused() const { return refused_; }

  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    if (absl::Status s = may(Kind::kRead, "open_random", path); !s.ok()) return s;
    auto file = disk_.open_random(path);
    if (!file.ok()) return file.status();
    return std::make_unique<Reader>(*this, path, std::move(*file));
  }
  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create create) override {
    if (absl::Status s = may(Kind::kWrite, "open_append", path); !s.ok()) return s;
    auto file = disk_.open_append(path, create);
    if (!file.ok()) return file.status();
    return std::make_unique<Writer>(*this, path, std::move(*file));
  }
  absl::Status overwrite(const std::string& path, std::string_view bytes) override {
    const absl::Status s = may(Kind::kWrite, "overwrite", path);
    return s.ok() ? disk_.overwrite(path, bytes) : s;
  }
  absl::Status rename(const std::string& from, const std::string& to) override {
    const absl::Status s = may(Kind::kWrite, "rename", from);
    return s.ok() ? disk_.rename(from, to) : s;
  }
  absl::Status link(const std::string& from, const std::string& to) override {
    const absl::Status s = may(Kind::kWrite, "link", from);
    return s.ok() ? disk_.link(from, to) : s;
  }
  absl::Status remove(const std::string& path) override {
    const absl::Status s = may(Kind::kWrite, "remove", path);
    return s.ok() ? disk_.remove(path) : s;
  }
  absl::Status create_dir(const std::string& path) override {
    const absl::Status s = may(Kind::kWrite, "create_dir", path);
    return s.ok() ? disk_.create_dir(path) : s;
  }
  absl::Status remove_dir(const std::string& path) override {
    const absl::Status s = may(Kind::kWrite, "remove_dir", path);
    return s.ok() ? disk_.remove_dir(path) : s;
  }
  absl::Status sync_dir(const std::string& path) override {
    const absl::Status s = may(Kind::kSync, "sync_dir", path);
    return s.ok() ? disk_.sync_dir(path) : s;
  }
  absl::StatusOr<std::vector<std::string>> list(const std::string& path) override {
    if (absl::Status s = may(Kind::kRead, "list", path); !s.ok()) return s;
    return disk_.list(path);
  }
  absl::StatusOr<FileInfo> stat(const std::string& path) override {
    if (absl::Status s = may(Kind::kRead, "stat", path); !s.ok()) return s;
    return disk_.stat(path);
  }
  absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string& path, LockMode mode,
                                                     std::optional<LockMode>* holder) override {
    if (absl::Status s = may(Kind::kRead, "lock_dir", path); !s.ok()) return s;
    return disk_.lock_dir(path, mode, holder);
  }
  absl::StatusOr<bool> is_network_file_system(const std::string& path) override {
    if (absl::Status s = may(Kind::kRead, "is_network_file_system", path); !s.ok()) return s;
    return disk_.is_network_file_system(path);
  }

 private:
  class Reader final : public RandomFile {
   public:
    Reader(FailingDisk& disk, std::string path, std::unique_ptr<RandomFile> file)
        : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}
    absl::StatusOr<std::size_t> read_at(std::uint64_t offset, std::size_t length,
                                        char* out) const override {
      if (absl::Status s = disk_.may(Kind::kRead, "read_at", path_); !s.ok()) return s;
      return file_->read_at(offset, length, out);
    }

   private:
    FailingDisk& disk_;
    const std::string path_;
    std::unique_ptr<RandomFile> file_;
  };

  class Writer final : public AppendFile {
   public:
    Writer(FailingDisk& disk, std::string path, std::unique_ptr<AppendFile> file)
        : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}
    // A full disk takes a part of what it refuses.
    absl::Status append(std::string_view bytes) override {
      const absl::Status s = disk_.may(Kind::kWrite, "append", path_);
      const absl::Status put = file_->append(s.ok() ? bytes : bytes.substr(0, bytes.size() / 2));
      return s.ok() ? put : s;
    }
    absl::Status truncate(std::uint64_t size) override {
      const absl::Status s = disk_.may(Kind::kWrite, "truncate", path_);
      return s.ok() ? file_->truncate(size) : s;
    }
    absl::Status sync() override {
      const absl::Status s = disk_.may(Kind::kSync, "sync", path_);
      return s.ok() ? file_->sync() : s;
    }
    absl::Status close() override {
      const absl::Status s = disk_.may(Kind::kWrite, "close", path_);
      const absl::Status closed = file_->close();
      return s.ok() ? closed : s;
    }

   private:
    FailingDisk& disk_;
    const std::string path_;
    std::unique_ptr<AppendFile> file_;
  };

  absl::Status may(Kind kind, std::string_view name, std::string_view path) {
    if (!fault_.chosen({kind, name, path})) return absl::OkStatus();
    const int now = ++operations_;
    if (fault_.at == 0 || now < fault_.at || (now > fault_.at && !fault_.for_good)) {
      return absl::OkStatus();
    }
    refused_ = true;
    return absl::Status(fault_.why.code(), std::string(path) + ": cannot " + std::string(name) +
                                               ": " + std::string(fault_.why.message()));
  }

  Disk& disk_;
  const Fault fault_;
  std::atomic<int> operations_{0};
  std::atomic<bool> refused_{false};
};

}  // namespace clicktally
