#include <vector>

#include "tools/inspect/commands.h"

namespace clicktally {

namespace {

constexpr Flag kDryRun{"dry-run", "", "shows what would be done, and writes nothing"};

}  // namespace

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
      {.name = "rollback",
       .arguments = "CHECKPOINT SNAPSHOT",
       .summary = "back to the counts and offsets of a snapshot",
       .details =
           "The job must be stopped. The state before it becomes a snapshot too, so that a\n"
           "rollback can be rolled back. The job counts again what came after the snapshot,\n"
           "if Kafka still has it.\n",
       .formats = "text|csv|json",
       .flags = {kDryRun},
       .writes = true,
       .run = rollback_command},
      {.name = "offsets set",
       .arguments = "CHECKPOINT PARTITION=OFFSET...",
       .summary = "other next offsets, the same counts",
       .details = "The job must be stopped. What lies between is counted twice, or never: the\n"
                  "difference is kept as `moved` in the sums of the partition. A partition that\n"
                  "the checkpoint does not know is begun at its offset.\n",
       .formats = "text|csv|json",
       .flags = {kDryRun},
       .writes = true,
       .run = offsets_set_command},
      {.name = "snapshots pin",
       .arguments = "CHECKPOINT SNAPSHOT [NAME]",
       .summary = "keeps a snapshot for ever, with a name; also while a job runs",
       .details = "",
       .formats = "",
       .flags = {kDryRun},
       .writes = true,
       .run = pin_command},
      {.name = "snapshots unpin",
       .arguments = "CHECKPOINT SNAPSHOT",
       .summary = "lets it be removed again when newer ones are there",
       .details = "",
       .formats = "",
       .flags = {kDryRun},
       .writes = true,
       .run = unpin_command},
  };
  return kCommands;
}

}  // namespace clicktally
