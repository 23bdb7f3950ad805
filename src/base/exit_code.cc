#include "base/exit_code.h"

namespace clicktally {

int exit_code_of(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kFailedPrecondition:
      return 3;
    case absl::StatusCode::kAlreadyExists:
      return 4;
    case absl::StatusCode::kDataLoss:
      return 5;
    case absl::StatusCode::kOutOfRange:
      return 6;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
      return kExitCodeOfShortage;
    case absl::StatusCode::kAborted:
      return 8;
    case absl::StatusCode::kUnavailable:
      return 9;
    case absl::StatusCode::kCancelled:
      return 10;
    default:
      return 1;
  }
}

}  // namespace clicktally
