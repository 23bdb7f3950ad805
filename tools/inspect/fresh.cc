#include "tools/inspect/fresh.h"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "base/text.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr auto kPoll = std::chrono::milliseconds(10);

struct Running {
  bool still = false;
  pid_t pid = 0;  // 0 if the kernel does not tell (another PID namespace)
};

absl::StatusOr<Running> holder(Disk& disk, const CheckpointLayout& layout, bool name_it) {
  std::optional<Disk::LockMode> mode;
  auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kShared, name_it ? &mode : nullptr);
  if (lock.ok()) return Running{};
  if (!absl::IsAlreadyExists(lock.status())) return lock.status();
  Running running{.still = true};
  const std::string_view words = message_of(lock.status());
  const std::size_t space = words.rfind(' ');
  std::sscanf(words.data() + (space == words.npos ? 0 : space), " %d", &running.pid);
  return running;
}

// A job takes the signal through a descriptor, so it blocks it; any other holder would die of it.
bool takes_signal(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    unsigned long long mask = 0;
    if (std::sscanf(line.c_str(), "SigBlk: %llx", &mask) != 1) continue;
    return (mask >> (SIGUSR1 - 1) & 1) != 0;
  }
  return false;
}

}  // namespace

absl::Status ask_for_snapshot(Disk& disk, const CheckpointLayout& layout) {
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (!shown.ok()) return shown.status();
  const auto is_there = [&]() -> absl::StatusOr<bool> {
    auto newest = newest_snapshot(disk, layout);
    if (!newest.ok()) return newest.status();
    return *newest >= shown->batch;
  };
  auto there = is_there();
  if (!there.ok() || *there) return there.status();
  auto running = holder(disk, layout, /*name_it=*/true);
  if (!running.ok() || !running->still) return running.status();
  if (running->pid == 0 || !takes_signal(running->pid)) {
    return absl::UnavailableError(fmt::format(
        "{}: process {} holds it and takes no requests for a snapshot; try again without --fresh",
        layout.root(), running->pid));
  }
  if (::kill(running->pid, SIGUSR1) != 0 && errno == EPERM) {
    return absl::PermissionDeniedError(
        fmt::format("--fresh: process {} is another user's; try again without it", running->pid));
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    there = is_there();
    if (!there.ok() || *there) return there.status();
    auto still = holder(disk, layout, /*name_it=*/false);
    if (!still.ok() || !still->still) return still.status();
    std::this_thread::sleep_for(kPoll);
  }
  return absl::UnavailableError(fmt::format(
      "{}: the job made no snapshot in {} s (is its output blocked?); try again without --fresh",
      layout.root(), kPatience.count()));
}

}  // namespace clicktally
