#include <vector>

#include "tools/inspect/commands.h"

namespace clicktally {

std::span<const Command> all_commands() {
  static const std::vector<Command> kCommands{
      {.name = "show",
       .arguments = "CHECKPOINT",
       .summary = "job, batch, totals, users, rejections, offsets, snapshots",
       .details = "Scans every row, and so proves the digest.\n",
       .formats = "text|json",
       .flags = {},
       .writes = false,
       .run = show_command},
      {.name = "get",
       .arguments = "CHECKPOINT USER...",
       .summary = "clicks of users; NULL is one",
       .details = "",
       .formats = "text|json",
       .flags = {},
       .writes = false,
       .run = get_command},
      {.name = "export",
       .arguments = "CHECKPOINT",
       .summary = "user_id,total_clicks of all users, sorted",
       .details = "",
       .formats = "csv|json",
       .flags = {},
       .writes = false,
       .run = export_command},
      {.name = "snapshots",
       .arguments = "CHECKPOINT",
       .summary = "what could take over: batch, when, bytes",
       .details = "",
       .formats = "text|json",
       .flags = {},
       .writes = false,
       .run = snapshots_command},
      {.name = "dead-letters",
       .arguments = "CHECKPOINT",
       .summary = "rejected records that were kept, as JSON lines or raw",
       .details = "",
       .formats = "json",
       .flags = {{"cause", "CAUSE", "tombstone, empty, not_json, not_object or missing_action"},
                 {"raw", "", "the values themselves, a line each; never to a terminal"}},
       .writes = false,
       .run = dead_letters_command},
      {.name = "backup",
       .arguments = "CHECKPOINT DEST",
       .summary = "copies the newest snapshot, also while a job runs",
       .details = "Table files that DEST has already are not written again. The copy is read back\n"
                  "whole before it replaces the one before it. The checkpoint is not changed.\n",
       .formats = "",
       .flags = {},
       .writes = false,
       .run = backup_command},
      {.name = "restore",
       .arguments = "DEST CHECKPOINT",
       .summary = "makes a new checkpoint of a backup",
       .details = "CHECKPOINT must be empty or absent; it gets a higher epoch.\n",
       .formats = "",
       .flags = {},
       .writes = true,
       .run = restore_command},
  };
  return kCommands;
}

}  // namespace clicktally
