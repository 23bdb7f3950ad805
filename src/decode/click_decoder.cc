#include "decode/click_decoder.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>

#include "decode/exact_reader.h"
#include "decode/jackson_reader.h"

namespace clicktally {
namespace {

namespace dom = simdjson::dom;
using simdjson::error_code;

constexpr std::size_t kSmallestCapacity = std::size_t{16} << 10;
constexpr std::size_t kLargestKept = std::size_t{1} << 20;

// simdjson counts no empty container, and refuses the depth it is given: with 1,000 it takes
// nothing that is too deep for Spark.
constexpr std::size_t kDepth = kDeepestNesting;

constexpr std::string_view kAction = "action";
constexpr std::string_view kUserId = "user_id";
constexpr std::string_view kClickAction = "click";

enum class Action { kNull, kClick, kOther };

struct Columns {
  Action action = Action::kNull;
  UserKey user = kNullUser;
  NullUserCause null_user_cause = NullUserCause::kAbsent;
};

// A string column takes any value: what is not a string becomes its JSON text, and none is `click`.
Action read_action(dom::element value) {
  switch (value.type()) {
    case dom::element_type::NULL_VALUE:
      return Action::kNull;
    case dom::element_type::STRING:
      return value.get_string().value_unsafe() == kClickAction ? Action::kClick : Action::kOther;
    default:
      return Action::kOther;
  }
}

// An int column takes whole numbers in its range and null; anything else leaves it as it was.
void read_user_id(dom::element value, Columns* columns) {
  switch (value.type()) {
    case dom::element_type::INT64: {
      const std::int64_t id = value.get_int64().value_unsafe();
      if (id >= std::numeric_limits<std::int32_t>::min() &&
          id <= std::numeric_limits<std::int32_t>::max()) {
        columns->user = id;
      } else {
        columns->null_user_cause = NullUserCause::kOutOfRange;
      }
      return;
    }
    case dom::element_type::UINT64:
      columns->null_user_cause = NullUserCause::kOutOfRange;
      return;
    case dom::element_type::NULL_VALUE:
      columns->user = kNullUser;
      columns->null_user_cause = NullUserCause::kNull;
      return;
    default:
      columns->null_user_cause = NullUserCause::kWrongType;
  }
}

Decoded answer_of(const Columns& columns) {
  switch (columns.action) {
    case Action::kClick:
      return columns.user == kNullUser ? Decoded::click_of_null(columns.null_user_cause)
                                       : Decoded::click(columns.user);
    case Action::kOther:
      return Decoded::other_event();
    case Action::kNull:
      break;
  }
  return Decoded::rejection(RejectionCause::kMissingAction);
}

Decoded read_document(dom::element document) {
  dom::object fields;
  if (document.get_object().get(fields) != simdjson::SUCCESS) {
    return Decoded::rejection(RejectionCause::kNotObject);
  }
  Columns columns;
  for (auto field = fields.begin(), end = fields.end(); field != end; ++field) {
    const std::uint32_t length = field.key_length();
    if (length == kAction.size()) {
      if (std::memcmp(field.key_c_str(), kAction.data(), kAction.size()) == 0) {
        columns.action = read_action(field.value());
      }
    } else if (length == kUserId.size()) {
      if (std::memcmp(field.key_c_str(), kUserId.data(), kUserId.size()) == 0) {
        read_user_id(field.value(), &columns);
      }
    }
  }
  return answer_of(columns);
}

bool is_blank(std::string_view value) {
  for (const char c : value) {
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return false;
  }
  return true;
}

bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

// False means that no number is beyond Spark's limit, which simdjson does not know. Looks at one
// byte in a thousand of most documents: whoever strides by one less than the length of a run cannot
// step over it.
bool may_hold_long_number(std::string_view json) {
  for (std::size_t at = kLongestNumber; at < json.size(); at += kLongestNumber + 1) {
    if (!is_number_char(json[at])) continue;
    std::size_t begin = at;
    while (begin > 0 && is_number_char(json[begin - 1])) --begin;
    std::size_t end = at;
    while (end < json.size() && is_number_char(json[end])) ++end;
    if (end - begin > kLongestNumber) return true;
  }
  return false;
}

// Lack of memory must not become a rejection: that would be a wrong count.
void check_memory(error_code error) {
  if (error == simdjson::MEMALLOC || error == simdjson::CAPACITY) throw std::bad_alloc();
}

}  // namespace

struct ClickDecoder::Impl {
  Impl() { reserve(kSmallestCapacity); }

  void reserve(std::size_t size) {
    // Not in steps of a record each: a topic of slowly growing records would allocate every time.
    const std::size_t wanted = size > kLargestKept ? size : std::bit_ceil(size);
    buffer.reset(new char[wanted + simdjson::SIMDJSON_PADDING]);
    check_memory(parser.allocate(wanted, kDepth));
    check_memory(parser.doc.allocate(wanted));
    capacity = wanted;
  }

  void give_back() {
    parser = dom::parser();
    reserve(kSmallestCapacity);
  }

  // Texts beyond Spark's limits and long numbers are not for simdjson to judge.
  [[gnu::noinline]] Decoded decode_long(std::string_view value) {
    if (value.size() > kLongestText || may_hold_long_number(value)) return decode_exactly(value);
    if (value.size() > capacity) reserve(value.size());
    const Decoded decoded = decode(value);
    if (value.size() > kLargestKept) give_back();
    return decoded;
  }

  Decoded decode(std::string_view value) {
    // The parser reads past the end; nothing there may complete a broken document.
    std::memcpy(buffer.get(), value.data(), value.size());
    std::memset(buffer.get() + value.size(), 0, simdjson::SIMDJSON_PADDING);
    dom::element document;
    const error_code error = parser.parse(buffer.get(), value.size(), false).get(document);
    if (error == simdjson::SUCCESS) return read_document(document);
    check_memory(error);
    return decode_exactly(value);
  }

  [[gnu::noinline]] Decoded decode_exactly(std::string_view value) {
    ++exact_records;
    return exact.decode(value);
  }

  dom::parser parser;
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
  ExactReader exact;
  std::int64_t exact_records = 0;
};

ClickDecoder::ClickDecoder() : impl_(std::make_unique<Impl>()) {}
ClickDecoder::~ClickDecoder() = default;

Decoded ClickDecoder::decode(const Record& record) {
  const std::string_view value = record.value;
  if (record.tombstone) return Decoded::rejection(RejectionCause::kTombstone);
  if (is_blank(value)) return Decoded::rejection(RejectionCause::kEmpty);
  if (value.size() <= kLongestNumber) return impl_->decode(value);
  return impl_->decode_long(value);
}

std::string ClickDecoder::explain(const Record& record) {
  return record.tombstone ? "null value" : impl_->exact.explain(record.value);
}

std::int64_t ClickDecoder::exact_records() const {
  return impl_->exact_records;
}

}  // namespace clicktally
