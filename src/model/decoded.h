// What one record turned out to be. Every record is exactly one of: a click, another event, or a
// rejection with a cause (I7). A click whose user is null says why besides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/user_key.h"

namespace clicktally {

enum class RecordKind : std::uint8_t { kClick, kOtherEvent, kRejection };

enum class RejectionCause : std::uint8_t {
  kTombstone,      // the record has a null value
  kEmpty,          // the value has no bytes, or only white space
  kNotJson,        // Spark's reader broke off before it had an action, or without one
  kNotObject,      // JSON that begins with something else than an object
  kMissingAction,  // an object whose action is absent, null, or too long for Spark
};
inline constexpr std::size_t kRejectionCauses = 5;

// The cause's name in the commit record, in reports and in docs; part of the checkpoint format.
inline constexpr std::array<std::string_view, kRejectionCauses> kRejectionCauseNames{
    "tombstone", "empty", "not_json", "not_object", "missing_action"};

// Why a click is counted in the NULL group. Of several user_id fields the last one decides.
enum class NullUserCause : std::uint8_t {
  kAbsent,      // no field user_id
  kNull,        // the JSON value null
  kWrongType,   // no whole number: a string, a fraction, a boolean, an object, an array
  kOutOfRange,  // a whole number that is no int32
  kUnreadable,  // broken JSON, in which Spark finds the action but loses the user
};
inline constexpr std::size_t kNullUserCauses = 5;

// As kRejectionCauseNames.
inline constexpr std::array<std::string_view, kNullUserCauses> kNullUserCauseNames{
    "absent", "null", "wrong_type", "out_of_range", "unreadable"};

struct Decoded {
  RecordKind kind = RecordKind::kRejection;
  RejectionCause cause = RejectionCause::kNotJson;         // of a rejection
  NullUserCause null_user_cause = NullUserCause::kAbsent;  // of a click of kNullUser
  UserKey user = kNullUser;                                // of a click

  static Decoded click(UserKey user) {
    return {.kind = RecordKind::kClick, .cause = {}, .user = user};
  }
  static Decoded click_of_null(NullUserCause why) {
    return {.kind = RecordKind::kClick, .cause = {}, .null_user_cause = why};
  }
  static Decoded other_event() { return {.kind = RecordKind::kOtherEvent, .cause = {}}; }
  static Decoded rejection(RejectionCause cause) { return {.cause = cause}; }
  friend bool operator==(const Decoded&, const Decoded&) = default;
};
static_assert(sizeof(Decoded) <= 16);

}  // namespace clicktally
