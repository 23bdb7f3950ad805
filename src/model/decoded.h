// What one record turned out to be. Every record is exactly one of: a click, another event, or a
// rejection with a cause (I7).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "model/user_key.h"

namespace clicktally {

enum class RecordKind : std::uint8_t { kClick, kOtherEvent, kRejection };

enum class RejectionCause : std::uint8_t {
  kTombstone,      // the record has a null value
  kEmpty,          // the value has no bytes, or only white space
  kNotJson,        // the value does not begin with a whole JSON document
  kNotObject,      // JSON, but not an object
  kMissingAction,  // an object whose action is absent or null
};
inline constexpr std::size_t kRejectionCauses = 5;

// The cause's name in the commit record, in reports and in docs; part of the checkpoint format.
inline constexpr std::array<std::string_view, kRejectionCauses> kRejectionCauseNames{
    "tombstone", "empty", "not_json", "not_object", "missing_action"};

struct Decoded {
  RecordKind kind = RecordKind::kRejection;
  RejectionCause cause = RejectionCause::kNotJson;  // of a rejection
  UserKey user = kNullUser;                         // of a click

  static Decoded click(UserKey user) { return {RecordKind::kClick, {}, user}; }
  static Decoded other_event() { return {RecordKind::kOtherEvent, {}, kNullUser}; }
  static Decoded rejection(RejectionCause cause) {
    return {RecordKind::kRejection, cause, kNullUser};
  }
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

}  // namespace clicktally
