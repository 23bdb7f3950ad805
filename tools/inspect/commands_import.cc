#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "checkpoint/import.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/import_rows.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

absl::StatusOr<File> open_input(const std::string& path) {
  if (path == "-") return File(stdin);
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file != nullptr) return File(file);
  return absl::InvalidArgumentError(
      fmt::format("{}: cannot be read; name the file of the counts", escape_controls(path)));
}

// The JSON itself, or the file that holds it.
absl::StatusOr<TopicOffsets> offsets_given(Disk& disk, const CommandLine& line) {
  const auto given = line.value("offsets");
  if (!given) return usage_error(line, "--offsets is needed: up to where the counts go");
  if (given->starts_with('{')) return parse_offsets(*given);
  auto text = read_file(disk, *given, 1 << 20);
  if (absl::IsNotFound(text.status())) {
    return usage_error(line,
                       fmt::format("--offsets: there is no file {}", escape_controls(*given)));
  }
  if (!text.ok()) return text.status();
  return parse_offsets(*text);
}

// Files for rows that are too many for memory, gone when it is.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "clicktally-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

absl::StatusOr<ImportOptions> options_of(Disk& disk, const CommandLine& line) {
  auto offsets = offsets_given(disk, line);
  if (!offsets.ok()) return offsets.status();
  const std::string topic = line.value("topic").value_or(offsets->topic);
  if (topic != offsets->topic) {
    return usage_error(line, fmt::format("--topic is '{}', but the offsets are of '{}'",
                                         escape_controls(topic), escape_controls(offsets->topic)));
  }
  ImportOptions options{.job = {}, .next = offsets->next, .command = {}};
  options.job.topic = topic;
  options.job.cluster_id = line.value("cluster-id").value_or("");
  options.time_ms = absl::ToUnixMillis(absl::Now());
  options.command = fmt::format("import of {}", line.value("from").value_or("-"));
  return options;
}

}  // namespace

absl::Status import_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  const auto from = line.value("from");
  if (!from) return usage_error(line, "--from is needed: the file of the counts, or -");
  auto options = options_of(disk, line);
  if (!options.ok()) return options.status();
  if (absl::Status s = may_import_to(disk, line.checkpoint); !s.ok()) return s;
  auto file = open_input(*from);
  if (!file.ok()) return file.status();
  const RowReader rows = read_rows(file->get(), *from == "-" ? "standard input" : *from);
  const bool dry = line.has("dry-run");
  absl::StatusOr<CommitRecord> made = absl::UnknownError("");
  if (dry) {
    const Scratch scratch;
    made = check_import(disk, scratch.path(), rows, *options);
  } else {
    made = import_checkpoint(disk, line.checkpoint, open_any_state, rows, *options);
  }
  if (!made.ok()) return made.status();
  Output output;
  output.write(
      fmt::format("{} {} clicks of {} users, {} of NULL, of topic {}, offsets {}\n",
                  dry ? "would import" : "imported", group_thousands(made->imported.clicks),
                  group_thousands(made->changed.in_all), group_thousands(made->imported.of_null),
                  escape_controls(made->job.topic), offsets_json(*made)));
  if (made->job.cluster_id.empty()) {
    note("no --cluster-id: the checkpoint will belong to the cluster of its first start");
  }
  if (dry) note("dry run: nothing was written");
  return output.finish();
}

}  // namespace clicktally
