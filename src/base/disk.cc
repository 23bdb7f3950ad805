#include "base/disk.h"

#include <fmt/format.h>

#include "base/crash_points.h"

namespace clicktally {
namespace {

constexpr std::size_t kCopyAtOnce = 1 << 20;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
}

class ReadOnlyDisk final : public Disk {
 public:
  explicit ReadOnlyDisk(Disk& disk) : disk_(disk) {}

  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return disk_.open_random(path);
  }
  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create /*create*/) override {
    return refuse("write", path);
  }
  absl::Status overwrite(const std::string& path, std::string_view /*bytes*/) override {
    return refuse("write", path);
  }
  absl::Status rename(const std::string& from, const std::string& /*to*/) override {
    return refuse("rename", from);
  }
  absl::Status link(const std::string& from, const std::string& /*to*/) override {
    return refuse("link", from);
  }
  absl::Status remove(const std::string& path) override { return refuse("remove", path); }
  absl::Status create_dir(const std::string& path) override { return refuse("create", path); }
  absl::Status remove_dir(const std::string& path) override { return refuse("remove", path); }
  absl::Status sync_dir(const std::string& path) override { return refuse("sync", path); }
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
  static absl::Status refuse(std::string_view what, const std::string& path) {
    return absl::UnimplementedError(fmt::format("{}: cannot {}: opened read-only", path, what));
  }

  Disk& disk_;
};

}  // namespace

std::unique_ptr<Disk> make_read_only_disk(Disk& disk) {
  return std::make_unique<ReadOnlyDisk>(disk);
}

absl::StatusOr<std::string> read_file(Disk& disk, const std::string& path, std::size_t longest) {
  auto info = disk.stat(path);
  if (!info.ok()) return info.status();
  if (info->size_bytes > longest) {
    return absl::DataLossError(fmt::format("{}: {} bytes, where at most {} are expected", path,
                                           info->size_bytes, longest));
  }
  auto file = disk.open_random(path);
  if (!file.ok()) return file.status();
  std::string bytes(info->size_bytes, '\0');
  auto got = (*file)->read_at(0, bytes.size(), bytes.data());
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  return bytes;
}

absl::Status publish_file(Disk& disk, const std::string& directory, const std::string& name,
                          std::string_view bytes) {
  const std::string target = directory + "/" + name;
  const std::string staged = target + ".tmp";
  auto file = disk.open_append(staged, Disk::Create::kTruncate);
  if (!file.ok()) return file.status();
  if (absl::Status status = (*file)->append(bytes); !status.ok()) return status;
  if (absl::Status status = (*file)->sync(); !status.ok()) return status;
  if (absl::Status status = (*file)->close(); !status.ok()) return status;
  reached(CrashPoint::kStagedForPublishing);
  if (absl::Status status = disk.rename(staged, target); !status.ok()) return status;
  reached(CrashPoint::kPublishedUnsynced);
  return disk.sync_dir(directory);
}

absl::Status copy_file(Disk& disk, const std::string& from, const std::string& to) {
  auto in = disk.open_random(from);
  if (!in.ok()) return in.status();
  auto out = disk.open_append(to, Disk::Create::kTruncate);
  if (!out.ok()) return out.status();
  std::string bytes(kCopyAtOnce, '\0');
  for (std::uint64_t at = 0;;) {
    auto got = (*in)->read_at(at, bytes.size(), bytes.data());
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    if (absl::Status s = (*out)->append({bytes.data(), *got}); !s.ok()) return s;
    at += *got;
  }
  if (absl::Status s = (*out)->sync(); !s.ok()) return s;
  return (*out)->close();
}

absl::Status make_directories(Disk& disk, const std::string& path) {
  const absl::Status found = disk.stat(path + "/.").status();
  if (!absl::IsNotFound(found)) return found;  // there, or refused
  const std::string parent = parent_of(path);
  if (path.empty() || parent == path) return absl::InvalidArgumentError("the path is empty");
  if (absl::Status status = make_directories(disk, parent); !status.ok()) return status;
  const absl::Status made = disk.create_dir(path);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  return disk.sync_dir(parent);
}

absl::Status sync_names(Disk& disk, const std::string& path) {
  const std::string parent = parent_of(path);
  const absl::Status synced = disk.sync_dir(parent);
  if (absl::IsPermissionDenied(synced)) return absl::OkStatus();
  if (!synced.ok()) return synced;
  const auto ours = disk.stat(path + "/.");
  if (!ours.ok()) return ours.status();
  const auto above = disk.stat(parent + "/.");
  if (!above.ok()) return above.status();
  const bool top = parent == "." || parent == "/" || parent == path;
  return top || above->owner != ours->owner ? absl::OkStatus() : sync_names(disk, parent);
}

bool exists(Disk& disk, const std::string& path) {
  return disk.stat(path).ok();
}

absl::Status remove_tree(Disk& disk, const std::string& path) {
  auto info = disk.stat(path);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  if (!info->is_directory) return disk.remove(path);
  auto names = disk.list(path);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (absl::Status status = remove_tree(disk, path + "/" + name); !status.ok()) return status;
    reached(CrashPoint::kRemovedOne);
  }
  return disk.remove_dir(path);
}

}  // namespace clicktally
