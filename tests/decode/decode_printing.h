// How decoded records show in a failed expectation. For tests only.
#pragma once

#include <ostream>

#include "model/decoded.h"

namespace clicktally {

inline void PrintTo(const Decoded& decoded, std::ostream* out) {
  switch (decoded.kind) {
    case RecordKind::kClick:
      *out << "click of " << decoded.user;
      if (decoded.user == kNullUser) {
        *out << " (" << kNullUserCauseNames.at(static_cast<std::size_t>(decoded.null_user_cause))
             << ")";
      }
      break;
    case RecordKind::kOtherEvent:
      *out << "other_event";
      break;
    case RecordKind::kRejection:
      *out << kRejectionCauseNames.at(static_cast<std::size_t>(decoded.cause));
  }
}

}  // namespace clicktally
