// The limits of the JSON reader inside Spark 3.5.0 (Jackson 2.15.2, StreamReadConstraints with its
// defaults). A document beyond one of them is refused whole, wherever in it that is, though it is
// valid JSON. Our parser knows none of them.
//
//   1,000       containers inside each other, the outermost one included
//   1,000       digits of a number: whole, fraction and exponent together, signs not counted; 1,001
//               for a number that begins with 0 and has only one of fraction and exponent
//   20,000,000  characters (UTF-16 units, escapes resolved) of a field's name
//
// A *value* of more than 20,000,000 characters is no reason to refuse a document; it only cannot
// become a column's value, and the column stays as it was. One that is longer by another 65,536
// breaks the reader off in the middle: then the column is null, whatever else the document holds.
// (In between it depends on what Spark's thread read before.) Other columns do not suffer: Spark's
// optimizer has `action` and `user_id` read in two passes, each of which skips the values it does
// not need.
#pragma once

#include <cstddef>
#include <string_view>

namespace clicktally {

inline constexpr std::size_t kDeepestNesting = 1'000;
inline constexpr std::size_t kLongestNumber = 1'000;
inline constexpr std::size_t kLongestText = 20'000'000;
inline constexpr std::size_t kBreakingText = kLongestText + 65'536;

// False means that no number in `json` is beyond the limit. Looks at one byte in a thousand of most
// documents.
bool may_hold_long_number(std::string_view json);

// Reads every byte of `json`. For a document that is not valid JSON the answer means nothing.
bool beyond_spark_limits(std::string_view json);

// The length of valid UTF-8 in UTF-16 units, which Java calls characters.
std::size_t utf16_length(std::string_view text);

}  // namespace clicktally
