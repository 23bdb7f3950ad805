#include "checkpoint/directory.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <thread>

#include "base/text.h"

namespace clicktally {
namespace {

constexpr auto kReaderPatience = std::chrono::seconds(3);
constexpr auto kReaderPoll = std::chrono::milliseconds(20);

}  // namespace

absl::Status with_next_step(const absl::Status& status, std::string_view next_step) {
  return {status.code(), fmt::format("{}; {}", message_of(status), next_step)};
}

absl::Status check_directory(Disk& disk, const CheckpointLayout& layout) {
  const std::string& root = layout.root();
  auto info = disk.stat(root + "/.");
  if (absl::IsNotFound(info.status())) {
    return absl::FailedPreconditionError(
        root + ": a link that leads nowhere; mend the link, or name another directory");
  }
  if (!info.ok()) return info.status();
  if (absl::Status s = check_ours(disk, layout); !s.ok()) return s;
  auto remote = disk.is_network_file_system(root);
  if (!remote.ok()) return remote.status();
  if (*remote) {
    return absl::FailedPreconditionError(
        root + ": on a network file system, whose locks and syncs prove nothing; use a local disk");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DiskLock>> lock_for_writing(Disk& disk,
                                                           const CheckpointLayout& layout,
                                                           std::string_view next_step) {
  const auto deadline = std::chrono::steady_clock::now() + kReaderPatience;
  while (true) {
    std::optional<Disk::LockMode> holder;
    auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kExclusive, &holder);
    if (lock.ok() || !absl::IsAlreadyExists(lock.status())) return lock;
    // A reader may have let go before the kernel was asked who held it.
    const bool writer = holder == Disk::LockMode::kExclusive;
    if (writer || std::chrono::steady_clock::now() > deadline) {
      return with_next_step(lock.status(), next_step);
    }
    std::this_thread::sleep_for(kReaderPoll);
  }
}

}  // namespace clicktally
