#include <fmt/format.h>

#include "absl/strings/numbers.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/output.h"

namespace clicktally {
namespace {

constexpr std::size_t kManyUsers = 1'000'000;

absl::StatusOr<UserKey> parse_user(const CommandLine& line, const std::string& text) {
  std::int32_t user = 0;
  if (text == "NULL" || text == "null") return kNullUser;
  if (absl::SimpleAtoi(text, &user)) return user;
  return usage_error(
      line, fmt::format("'{}' is not a user: a number from -2147483648 to 2147483647, or NULL",
                        escape_controls(text)));
}

std::string user_text(UserKey user, std::string_view null_word) {
  return user == kNullUser ? std::string(null_word) : std::to_string(user);
}

std::string json_row(UserKey user, std::int64_t clicks) {
  return fmt::format("{{\"user_id\":{},\"total_clicks\":{}}}\n", user_text(user, "null"), clicks);
}

}  // namespace

absl::Status get_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, kManyUsers); !s.ok()) return s;
  std::vector<UserKey> users;
  for (const std::string& argument : line.arguments) {
    auto user = parse_user(line, argument);
    if (!user.ok()) return user.status();
    users.push_back(*user);
  }
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  Output output;
  for (const UserKey user : users) {
    auto count = reader->view->get(user);
    if (!count.ok()) return count.status();
    const std::int64_t clicks = *count ? (*count)->clicks : 0;
    output.write(line.format == Format::kJson
                     ? json_row(user, clicks)
                     : fmt::format("{}\t{}\n", user_text(user, "NULL"), clicks));
  }
  return output.finish();
}

absl::Status export_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  Output output;
  Digest digest = 0;
  const bool json = line.format == Format::kJson;
  bool wanted = json || output.write("user_id,total_clicks\n");
  const absl::Status scanned =
      reader->view->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
        digest += digest_of(count.user, count.clicks);
        wanted =
            output.write(json ? json_row(count.user, count.clicks)
                              : fmt::format("{},{}\n", user_text(count.user, ""), count.clicks));
        return wanted;
      });
  if (!scanned.ok()) return scanned;
  if (absl::Status status = output.finish(); !status.ok() || !wanted) return status;
  if (digest == reader->state.record.digest) return absl::OkStatus();
  return absl::DataLossError(
      "the rows just written do not add up to the digest of their batch: the state is damaged; do "
      "not use them, restore the checkpoint from a backup");
}

}  // namespace clicktally
