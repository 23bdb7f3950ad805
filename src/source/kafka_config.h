// What librdkafka is told: our settings, each with its reason, and what -X may not touch.
// (check_source_property() is declared in kafka_source.h.)
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "source/kafka_handles.h"
#include "source/source.h"

namespace clicktally {

// Our settings, then the user's properties, then what may not differ. kInvalidArgument in
// librdkafka's words, which never show the value of a property that holds a secret.
absl::StatusOr<KafkaConf> make_kafka_conf(const SourceOptions& options);

// A number that librdkafka now has for a property; the property must exist and be a number.
std::int64_t kafka_number(const rd_kafka_conf_t* conf, const char* name);
std::string kafka_text(const rd_kafka_conf_t* conf, const char* name);

// `text` without the values of the secret properties among `options`.
std::string without_secrets(std::string text, const SourceOptions& options);

}  // namespace clicktally
