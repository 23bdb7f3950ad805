#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "base/text.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/output.h"

namespace clicktally {
namespace {

using nlohmann::ordered_json;

std::string dead_letter_json(const std::string& topic, const DeadLetter& letter) {
  ordered_json out{{"topic", topic},
                   {"partition", letter.partition},
                   {"offset", letter.offset},
                   {"timestamp", letter.timestamp_ms},
                   {"batch", letter.batch},
                   {"cause", kRejectionCauseNames[static_cast<std::size_t>(letter.cause)]},
                   {"detail", letter.detail}};
  // A tombstone has no value, which is not an empty one.
  const bool tombstone = letter.cause == RejectionCause::kTombstone;
  out["value"] = tombstone ? ordered_json() : ordered_json(absl::Base64Escape(letter.value));
  return out.dump(-1, ' ', true, ordered_json::error_handler_t::replace) + "\n";
}

// A line for a producer that reads lines; nothing for a value that a line cannot hold.
std::string raw_line(const DeadLetter& letter, std::int64_t* skipped) {
  const bool fits =
      letter.cause != RejectionCause::kTombstone && letter.value.find('\n') == std::string::npos;
  if (fits) return letter.value + "\n";
  ++*skipped;
  return "";
}

absl::StatusOr<std::optional<RejectionCause>> cause_of(const CommandLine& line) {
  const auto cause = line.value("cause");
  if (!cause) return std::nullopt;
  const auto found = std::ranges::find(kRejectionCauseNames, std::string_view(*cause));
  if (found != kRejectionCauseNames.end()) {
    return static_cast<RejectionCause>(found - kRejectionCauseNames.begin());
  }
  return usage_error(line, fmt::format("--cause: '{}' is none of {}", escape_controls(*cause),
                                       fmt::join(kRejectionCauseNames, ", ")));
}

}  // namespace

absl::Status dead_letters_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto cause = cause_of(line);
  if (!cause.ok()) return cause.status();
  const bool raw = line.has("raw");
  if (raw && ::isatty(STDOUT_FILENO) == 1) {
    return absl::InvalidArgumentError(
        "dead-letters --raw: bytes of a topic could command a terminal; send them to a file or a "
        "pipe");
  }
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  const CommitRecord& record = source->record;
  Output output;
  bool wanted = true;
  std::int64_t skipped = 0;
  for (const auto& [id, partition] : record.partitions) {
    const absl::Status scanned = source->view->scan_dead_letters(
        id, partition.dead_letters.first, [&](const DeadLetter& letter) {
          if (*cause && letter.cause != **cause) return true;
          wanted = output.write(raw ? raw_line(letter, &skipped)
                                    : dead_letter_json(record.job.topic, letter));
          return wanted;
        });
    if (!scanned.ok()) return finish(output, scanned);
    if (!wanted) break;
  }
  if (absl::Status status = finish(output, source->damage); !status.ok() || skipped == 0) {
    return status;
  }
  return absl::AbortedError(fmt::format(
      "dead-letters: left out {} that no line can hold (tombstones, values with line breaks); take "
      "them from the base64 of the JSON lines, without --raw",
      skipped));
}

}  // namespace clicktally
