#include "checkpoint/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/hash.h"
#include "base/text.h"

namespace clicktally {
namespace {

std::string text_of_format(int format) {
  return fmt::format("{{\"format\":{},\"checksum\":\"{:016x}\"}}\n", format,
                     hash64(fmt::format("clicktally checkpoint format {}", format)));
}

std::vector<std::string> parts_of(const CheckpointLayout& layout) {
  return {layout.live(),         layout.live_new(),      layout.live_next(),
          layout.live_damaged(), layout.live_repaired(), layout.snapshots()};
}

absl::Status check_owner(const std::string& path, const absl::StatusOr<FileInfo>& info) {
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  if (info->owner != this_user()) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: of user {}, who could change the counts, but this is user {}; run as its owner, or "
        "chown -R {} {}",
        path, info->owner, this_user(), this_user(), path));
  }
  if ((info->mode & 0022) != 0) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: others may write it (mode {:o}), so its counts cannot be trusted; chmod go-w {}", path,
        info->mode, path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckpointKind> checkpoint_kind(Disk& disk, const CheckpointLayout& layout) {
  auto names = disk.list(layout.root());
  if (absl::IsNotFound(names.status())) return CheckpointKind::kAbsent;
  if (!names.ok()) return names.status();
  const auto has = [&](std::string_view name) {
    return std::find(names->begin(), names->end(), name) != names->end();
  };
  if (has(CheckpointLayout::kJobName)) return CheckpointKind::kWhole;
  const bool begun = has("live") || has("live.new") || has(CheckpointLayout::kShownName);
  // They come after job.json.
  const bool was_whole = has(CheckpointLayout::kCommittedName) || has("snapshots") ||
                         has("live.next") || has("live.damaged") || has("live.repaired");
  // A stranger's directory may hold a "live" too: it is ours only if everything in it is.
  std::erase_if(*names, [](const std::string& name) {
    static const std::set<std::string> kOurs{
        "live",      "live.new",      "live.next", "live.damaged", "live.repaired", "snapshots",
        "COMMITTED", "COMMITTED.tmp", "SHOWN",     "SHOWN.tmp",    "job.json.tmp",  "lost+found"};
    return kOurs.contains(name);
  });
  if (!names->empty()) return CheckpointKind::kForeign;
  if (was_whole) {  // or job.json was made while the names were listed
    return exists(disk, layout.job_file()) ? CheckpointKind::kWhole : CheckpointKind::kLost;
  }
  return begun ? CheckpointKind::kUnfinished : CheckpointKind::kAbsent;
}

absl::Status lost_job_file(const CheckpointLayout& layout) {
  return absl::DataLossError(layout.job_file() +
                             ": missing from a checkpoint that has counted; restore the checkpoint "
                             "from a backup");
}

absl::Status check_no_link(Disk& disk, const std::string& path) {
  const auto info = disk.stat(path);
  if (absl::IsNotFound(info.status()) || (info.ok() && info->is_directory)) return absl::OkStatus();
  if (!info.ok()) return info.status();
  return absl::FailedPreconditionError(
      path + ": a link or a file, where only a directory can be; move the directory itself here");
}

absl::Status check_no_links(Disk& disk, const CheckpointLayout& layout) {
  const auto live = disk.stat(layout.live());
  if (live.ok() && !live->is_directory) {
    return absl::DataLossError(layout.live() +
                               ": Not a directory; restore the checkpoint from a backup");
  }
  for (const std::string& path : parts_of(layout)) {
    if (absl::Status s = check_no_link(disk, path); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status check_ours(Disk& disk, const CheckpointLayout& layout) {
  if (absl::Status s = check_no_links(disk, layout); !s.ok()) return s;
  const absl::Status root = check_owner(layout.root(), disk.stat(layout.root() + "/."));
  if (!root.ok()) return root;
  for (const std::string& path : parts_of(layout)) {
    if (absl::Status s = check_owner(path, disk.stat(path)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

std::string job_file_text() {
  return text_of_format(kCheckpointFormat);
}

absl::Status check_job_file(Disk& disk, const CheckpointLayout& layout) {
  auto text = read_file(disk, layout.job_file(), 4096);
  if (absl::IsDataLoss(text.status())) {
    return absl::DataLossError(
        fmt::format("{}; restore the checkpoint from a backup", message_of(text.status())));
  }
  if (!text.ok()) return text.status();
  if (*text == job_file_text()) return absl::OkStatus();
  int format = 0;
  if (std::sscanf(text->c_str(), "{\"format\":%d,", &format) == 1 &&
      *text == text_of_format(format)) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: the checkpoint has format {}, this clicktally reads format {}; use the version that "
        "wrote it",
        layout.job_file(), format, kCheckpointFormat));
  }
  return absl::DataLossError(layout.job_file() + ": damaged; restore the checkpoint from a backup");
}

}  // namespace clicktally
