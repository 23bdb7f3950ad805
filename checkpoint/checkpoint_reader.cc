#include "checkpoint/checkpoint_reader.h"

#include <chrono>
#include <thread>

namespace clicktally {
namespace {

constexpr int kAttempts = 20;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(25);

absl::StatusOr<CheckpointReader> read_once(Disk& disk, const CheckpointLayout& layout,
                                           const StoreOpener& open_state) {
  auto store = open_state(disk, layout.live(), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto verified = verify_state(disk, layout, **store);
  if (!verified.ok()) return verified.status();
  auto view = (*store)->view();
  if (!view.ok()) return view.status();
  return CheckpointReader{
      .state = std::move(*verified), .store = std::move(*store), .view = std::move(*view)};
}

}  // namespace

absl::StatusOr<CheckpointReader> open_checkpoint_reader(Disk& disk, const std::string& path,
                                                        const StoreOpener& open_state) {
  const CheckpointLayout layout(path);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) {
    return absl::FailedPreconditionError(
        path + ": not a checkpoint of clicktally (it has no job.json); check the path");
  }
  if (absl::Status status = check_job_file(disk, layout); !status.ok()) return status;
  absl::Status last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kShared, nullptr);
    if (!lock.ok() && !absl::IsAlreadyExists(lock.status())) return lock.status();
    auto reader = read_once(disk, layout, open_state);
    if (reader.ok()) {
      reader->job_is_running = !lock.ok();
      return reader;
    }
    last = reader.status();
    if (lock.ok()) return last;  // nobody was writing: it is as it looks
    std::this_thread::sleep_for(kBetweenAttempts);
  }
  return absl::UnavailableError(
      path + ": the running job changes it faster than it can be read, or it is damaged (" +
      std::string(last.message()) + "); try again, or stop the job");
}

}  // namespace clicktally
