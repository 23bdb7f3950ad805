#include <vector>

#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"

namespace clicktally {
namespace {

constexpr Flag kDryRun{"dry-run", "", "shows what would be done, and writes nothing"};

constexpr std::string_view kWhere =
    "CHECKPOINT alone is the state of a stopped job, or the newest snapshot of a running one.\n"
    "CHECKPOINT@N is the snapshot of batch N, CHECKPOINT@newest the newest,\n"
    "CHECKPOINT@live the live state, also under a running job.\n";

std::vector<Command> commands_of_users() {
  return {
      {.name = "show",
       .arguments = "CHECKPOINT",
       .summary = "job, batch, totals, users, rejections, offsets, snapshots, sizes, age",
       .details = kWhere,
       .formats = "text|json",
       .flags = {{"exact", "", "read every row: the number of users, and the digest proved"},
                 {"spread", "", "how clicks spread over users, as on a terminal"},
                 {"seed", "N", "of the sample that the spread is estimated from (1)"},
                 kFresh},
       .writes = false,
       .run = show_command},
      {.name = "get",
       .arguments = "CHECKPOINT USER...",
       .summary = "clicks of users; NULL is one, - reads them from standard input",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {kFresh},
       .writes = false,
       .run = get_command},
      {.name = "top",
       .arguments = "CHECKPOINT [N]",
       .summary = "the N users with most clicks (10)",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {{"by", "clicks|delta|last-batch",
                  "all clicks, those gained since a snapshot, or changed last"},
                 {"since", "N", "that snapshot; else the newest one before"},
                 kFresh},
       .writes = false,
       .run = top_command},
      {.name = "list",
       .arguments = "CHECKPOINT",
       .summary = "users and their clicks, in order of users",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {{"from", "USER", "the first (NULL)"},
                 {"to", "USER", "the last (2147483647)"},
                 {"min-clicks", "N", "only those with at least N"},
                 {"limit", "N", "at most N of them"},
                 kFresh},
       .writes = false,
       .run = list_command},
      {.name = "export",
       .arguments = "CHECKPOINT",
       .summary = "user_id,total_clicks of all users, sorted",
       .details = kWhere,
       .formats = "csv|json",
       .flags = {kFresh},
       .writes = false,
       .run = export_command},
  };
}

std::vector<Command> commands_of_the_rest() {
  return {
      {.name = "offsets",
       .arguments = "CHECKPOINT",
       .summary = "per partition: where it began, where it is, what was counted",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {kFresh},
       .writes = false,
       .run = offsets_command},
      {.name = "batches",
       .arguments = "CHECKPOINT",
       .summary = "the last batches: when, records, clicks, rejections, users, ms, offsets",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {{"limit", "N", "at most N of the 1024 that are remembered (20)"}, kFresh},
       .writes = false,
       .run = batches_command},
      {.name = "snapshots",
       .arguments = "CHECKPOINT",
       .summary = "what could take over: batch, when, clicks, bytes, read back, pinned",
       .details = "Names, times and sizes; verify says which of them are whole.\n",
       .formats = "text|json|csv",
       .flags = {kFresh},
       .writes = false,
       .run = snapshots_command},
      {.name = "diff",
       .arguments = "CHECKPOINT OTHER",
       .summary = "users added, changed and removed, and whether the offsets account for it",
       .details = kWhere,
       .formats = "text|json|csv",
       .flags = {{"rows", "", "each user that differs, with the clicks before and after"}, kFresh},
       .writes = false,
       .run = diff_command},
      {.name = "verify",
       .arguments = "CHECKPOINT",
       .summary = "every check there is, and whether a job may be started on it",
       .details = "",
       .formats = "text|json",
       .flags = {{"full", "", "read every table file and every row, too"}},
       .writes = false,
       .run = verify_command},
  };
}

std::vector<Command> commands_of_copies() {
  return {
      {.name = "dead-letters",
       .arguments = "CHECKPOINT",
       .summary = "rejected records that were kept, as JSON lines or raw",
       .details = kWhere,
       .formats = "json",
       .flags = {{"cause", "CAUSE", "tombstone, empty, not_json, not_object or missing_action"},
                 {"raw", "", "the values themselves, a line each; never to a terminal"},
                 kFresh},
       .writes = false,
       .run = dead_letters_command},
      {.name = "backup",
       .arguments = "CHECKPOINT DEST",
       .summary = "copies the newest snapshot, also while a job runs",
       .details = "Table files that DEST has already are not written again. The copy is read back\n"
                  "whole before it replaces the one before it. The checkpoint is not changed.\n",
       .formats = "",
       .flags = {kDryRun},
       .writes = false,
       .run = backup_command},
      {.name = "restore",
       .arguments = "DEST CHECKPOINT",
       .summary = "makes a new checkpoint of a backup",
       .details = "CHECKPOINT must be empty or absent; it gets a higher epoch.\n",
       .formats = "",
       .flags = {kDryRun},
       .writes = true,
       .run = restore_command},
  };
}

std::vector<Command> commands_of_repair() {
  return {
      {.name = "import",
       .arguments = "CHECKPOINT --from FILE --offsets JSON",
       .summary = "makes a new checkpoint of counts and offsets, from Spark or anywhere",
       .details =
           "CHECKPOINT must be empty or absent, in a directory that is there. The counts are\n"
           "lines user_id,total_clicks in any order, with or without that header and with an\n"
           "empty user_id for the NULL group, or JSON lines with those two fields.\n"
           "tools/spark-export makes both files of a Spark job's checkpoint.\n",
       .formats = "",
       .flags = {{"from", "FILE", "the counts; - is standard input"},
                 {"offsets", "JSON", "{\"topic\":{\"0\":12,\"1\":7}}, or a file that holds it"},
                 {"topic", "NAME", "must be the topic of the offsets, if given"},
                 {"cluster-id", "ID", "of the first start's cluster unless given"},
                 kDryRun},
       .writes = true,
       .run = import_command},
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
}

}  // namespace

std::span<const Command> all_commands() {
  static const std::vector<Command> kCommands = [] {
    std::vector<Command> all = commands_of_users();
    for (Command& command : commands_of_the_rest()) all.push_back(std::move(command));
    for (Command& command : commands_of_copies()) all.push_back(std::move(command));
    for (Command& command : commands_of_repair()) all.push_back(std::move(command));
    return all;
  }();
  return kCommands;
}

}  // namespace clicktally
