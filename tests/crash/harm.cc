#include "crash/harm.h"

#include <algorithm>

namespace clicktally {
namespace {

// In place, so that every link shows it.
absl::Status replace_bytes(Disk& disk, const std::string& path, std::string_view bytes) {
  auto file = disk.open_append(path, Disk::Create::kKeep);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->truncate(0); !s.ok()) return s;
  if (absl::Status s = (*file)->append(bytes); !s.ok()) return s;
  if (absl::Status s = (*file)->sync(); !s.ok()) return s;
  return (*file)->close();
}

absl::Status change_bytes(const HarmOptions& options, std::string* bytes) {
  if (options.at >= bytes->size()) {
    return absl::InvalidArgumentError(options.file + ": no such byte");
  }
  if (options.harm == Harm::kFlip) {
    (*bytes)[options.at] = static_cast<char>((*bytes)[options.at] ^ (1 << options.bit));
  } else if (options.harm == Harm::kZero) {
    const std::size_t most = std::min<std::size_t>(16, bytes->size() - options.at);
    bytes->replace(options.at, most, most, '\0');
  } else {
    bytes->resize(options.at);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status harm(Disk& disk, const HarmOptions& options) {
  if (options.harm == Harm::kRemove) {
    if (absl::Status s = disk.remove(options.file); !s.ok()) return s;
    return disk.sync_dir(options.file.substr(0, options.file.rfind('/')));
  }
  auto bytes = read_file(disk, options.file);
  if (!bytes.ok()) return bytes.status();
  if (options.harm != Harm::kSwap) {
    if (absl::Status s = change_bytes(options, &*bytes); !s.ok()) return s;
    return replace_bytes(disk, options.file, *bytes);
  }
  auto other = read_file(disk, options.other);
  if (!other.ok()) return other.status();
  if (absl::Status s = replace_bytes(disk, options.file, *other); !s.ok()) return s;
  return replace_bytes(disk, options.other, *bytes);
}

}  // namespace clicktally
