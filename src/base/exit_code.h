// What a failed run says to the shell. Errors travel as absl::Status; the status code alone decides
// the exit code, so a layer that reports an error chooses by what the operator must do next.
//
//   status code           exit  what the operator does next
//   OK                       0
//   (anything else)          1  report a bug
//   kInvalidArgument         2  correct the command line
//   kFailedPrecondition      3  point the job at the checkpoint, topic or cluster that belong
//                               together
//   kAlreadyExists           4  stop the other process that holds the checkpoint
//   kDataLoss                5  the checkpoint is damaged: restore it
//   kOutOfRange              6  Kafka no longer has records that were not counted
//   kResourceExhausted,
//   kPermissionDenied        7  give what the system refused (space, rights, hardware, memory,
//                               threads, descriptors), start again
//   kAborted                 8  the output is closed or blocked: mend it, start again
//   kUnavailable             9  Kafka refuses or lacks what the job needs: mend it, start again
//   kCancelled              10  a stop was asked for but could not finish in time; start again
//
// Every non-zero exit leaves the checkpoint at a whole batch.
#pragma once

#include "absl/status/status.h"

namespace clicktally {

int exit_code_of(const absl::Status& status);

// That of kResourceExhausted, for where not even a status can be made.
inline constexpr int kExitCodeOfShortage = 7;

}  // namespace clicktally
