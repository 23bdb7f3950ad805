#include "decode/click_decoder.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>

#include "decode/spark_limits.h"

namespace clicktally {
namespace {

namespace dom = simdjson::dom;
using simdjson::error_code;

constexpr std::size_t kSmallestCapacity = std::size_t{16} << 10;
constexpr std::size_t kLargestKept = std::size_t{1} << 20;

// simdjson counts no empty container, and refuses the depth it is given: with 1,000 it takes
// nothing that is too deep for Spark, and with one more all that is not.
constexpr std::size_t kDepth = kDeepestNesting;
constexpr std::size_t kDepthOfDeepest = kDeepestNesting + 1;

constexpr std::string_view kAction = "action";
constexpr std::string_view kUserId = "user_id";
constexpr std::string_view kClickAction = "click";

// What Spark's row holds in the column `action`; kBroken is null for good.
enum class Action { kNull, kClick, kOther, kBroken };

struct Columns {
  Action action = Action::kNull;
  UserKey user = kNullUser;
  bool user_broken = false;
};

// A string column takes any value: what is not a string becomes its JSON text, and none is `click`.
Action read_action(dom::element value, Action before) {
  switch (value.type()) {
    case dom::element_type::NULL_VALUE:
      return Action::kNull;
    case dom::element_type::STRING:
      break;
    default:
      return Action::kOther;
  }
  const std::string_view text = value.get_string().value_unsafe();
  if (text == kClickAction) return Action::kClick;
  if (text.size() <= kLongestText) return Action::kOther;
  const std::size_t length = utf16_length(text);
  if (length >= kBreakingText) return Action::kBroken;
  return length > kLongestText ? before : Action::kOther;
}

// An int column takes whole numbers in its range and null; anything else leaves it as it was.
void read_user_id(dom::element value, Columns* columns) {
  if (value.type() == dom::element_type::INT64) {
    const std::int64_t id = value.get_int64().value_unsafe();
    if (id < std::numeric_limits<std::int32_t>::min()) return;
    if (id > std::numeric_limits<std::int32_t>::max()) return;
    columns->user = id;
  } else if (value.is_null()) {
    columns->user = kNullUser;
  } else if (value.type() == dom::element_type::STRING) {
    const std::string_view text = value.get_string().value_unsafe();
    if (text.size() >= kBreakingText && utf16_length(text) >= kBreakingText) {
      columns->user_broken = true;
    }
  }
}

Decoded answer_of(const Columns& columns) {
  switch (columns.action) {
    case Action::kClick:
      return Decoded::click(columns.user_broken ? kNullUser : columns.user);
    case Action::kOther:
      return Decoded::other_event();
    case Action::kNull:
      return Decoded::rejection(RejectionCause::kMissingAction);
    case Action::kBroken:
      break;
  }
  return Decoded::rejection(RejectionCause::kNotJson);
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
      if (std::memcmp(field.key_c_str(), kAction.data(), kAction.size()) == 0 &&
          columns.action != Action::kBroken) {
        columns.action = read_action(field.value(), columns.action);
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

  [[gnu::noinline]] Decoded decode_long(std::string_view value) {
    const bool doubtful = value.size() > kLongestText || may_hold_long_number(value);
    if (doubtful && beyond_spark_limits(value)) return Decoded::rejection(RejectionCause::kNotJson);
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
    return error == simdjson::SUCCESS ? read_document(document) : refused(value, error);
  }

  [[gnu::noinline]] Decoded refused(std::string_view value, error_code error) {
    check_memory(error);
    if (error != simdjson::DEPTH_ERROR || beyond_spark_limits(value)) {
      return Decoded::rejection(RejectionCause::kNotJson);
    }
    return decode_deepest(value.size());
  }

  // For documents exactly as deep as Spark reads; so rare that a parser is made for each.
  Decoded decode_deepest(std::size_t size) {
    dom::parser deep;
    check_memory(deep.allocate(size, kDepthOfDeepest));
    dom::element document;
    const error_code error = deep.parse(buffer.get(), size, false).get(document);
    check_memory(error);
    return error == simdjson::SUCCESS ? read_document(document)
                                      : Decoded::rejection(RejectionCause::kNotJson);
  }

  dom::parser parser;
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
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

}  // namespace clicktally
