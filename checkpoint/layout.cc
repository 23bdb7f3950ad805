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
  // A stranger's directory may hold a "live" too: it is ours only if everything in it is.
  std::erase_if(*names, [](const std::string& name) {
    static const std::set<std::string> kOurs{
        "live",      "live.new", "live.next", "live.damaged", "live.repaired",
        "snapshots", "SHOWN",    "SHOWN.tmp", "job.json.tmp", "lost+found"};
    return kOurs.contains(name);
  });
  if (!names->empty()) return CheckpointKind::kForeign;
  return begun ? CheckpointKind::kUnfinished : CheckpointKind::kAbsent;
}

absl::Status check_no_links(Disk& disk, const CheckpointLayout& layout) {
  for (const std::string& path :
       {layout.live(), layout.live_new(), layout.live_next(), layout.live_damaged(),
        layout.live_repaired(), layout.snapshots()}) {
    auto info = disk.stat(path);
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) return info.status();
    if (info->is_directory) continue;
    if (path == layout.live()) {
      return absl::DataLossError(path + ": Not a directory; restore the checkpoint from a backup");
    }
    return absl::FailedPreconditionError(
        path + ": a link or a file, where only a directory can be; move the directory itself here");
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
