// The bytes of a commit record in the state:
//
//     16 hexadecimal digits, XXH3-64 of what follows the space | ' ' | JSON, one line
//
// JSON, so that a person who has only `ldb` can read it on the worst day, and so that a later
// version can add fields: unknown fields are passed over within a format, anything that changes the
// meaning of an old field raises "format". 64-bit numbers are JSON integers, hashes and digests
// hexadecimal text.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/commit_record.h"

namespace clicktally {

std::string encode_commit_record(const CommitRecord& record);

// kDataLoss for bytes that are no record, kFailedPrecondition for a newer format.
absl::StatusOr<CommitRecord> decode_commit_record(std::string_view bytes);

}  // namespace clicktally
