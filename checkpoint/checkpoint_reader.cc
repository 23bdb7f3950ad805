#include "checkpoint/checkpoint_reader.h"

#include <chrono>
#include <thread>

#include "checkpoint/repair.h"
#include "checkpoint/unfinished.h"

namespace clicktally {
namespace {

constexpr int kAttempts = 20;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(25);

absl::StatusOr<CheckpointReader> read_once(Disk& disk, const CheckpointLayout& layout,
                                           const StoreOpener& open_state) {
  auto path = live_path(disk, layout, open_state);
  if (!path.ok()) return path.status();
  auto store = open_state(disk, *path, OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto verified = verify_state(disk, layout, **store);
  if (!verified.ok()) return verified.status();
  auto view = (*store)->view();
  if (!view.ok()) return view.status();
  return CheckpointReader{
      .state = std::move(*verified), .store = std::move(*store), .view = std::move(*view)};
}

// OK if a job has finished making it meanwhile.
absl::Status why_not_whole(Disk& disk, const CheckpointLayout& layout, CheckpointKind kind,
                           const StoreOpener& open_state) {
  const auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kShared, nullptr);
  const bool job_is_running = absl::IsAlreadyExists(lock.status());
  if (kind == CheckpointKind::kForeign || (!lock.ok() && !job_is_running)) {
    return absl::FailedPreconditionError(
        layout.root() + ": not a checkpoint of clicktally (it has no job.json); check the path");
  }
  if (kind == CheckpointKind::kLost) return lost_job_file(layout);
  if (kind == CheckpointKind::kUnfinished) {
    const auto found = read_unfinished(disk, layout, open_state);
    if (exists(disk, layout.job_file())) return absl::OkStatus();
    if (!found.ok()) return found.status();
  }
  if (job_is_running) {
    return absl::FailedPreconditionError(
        layout.root() + ": a job is making this checkpoint, it has no batch yet; try again later");
  }
  if (kind == CheckpointKind::kAbsent) {
    return absl::FailedPreconditionError(
        layout.root() + ": not a checkpoint of clicktally yet, it is empty; check the path");
  }
  return absl::FailedPreconditionError(
      layout.root() +
      ": the making of this checkpoint was cut short, it has no batch yet; start clicktally on it");
}

}  // namespace

absl::StatusOr<CheckpointReader> open_checkpoint_reader(Disk& disk, const std::string& path,
                                                        const StoreOpener& open_state) {
  const CheckpointLayout layout(path);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) {
    const absl::Status why = why_not_whole(disk, layout, *kind, open_state);
    if (!why.ok()) return why;
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
