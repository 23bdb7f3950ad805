#include "tools/producer/producer_options.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>
#include <string_view>
#include <vector>

namespace clicktally {
namespace {

namespace po = boost::program_options;

// What arrives as text and needs more than a conversion.
struct RawOptions {
  std::string create_topic;
  std::vector<std::string> properties;
};

po::options_description describe(ProducerOptions* options, RawOptions* raw) {
  po::options_description all("Options", 100, 60);
  EventOptions& events = options->events;
  const auto text = [](std::string* to) { return po::value(to)->value_name("TEXT"); };
  const auto share = [](double* to) {
    return po::value(to)->value_name("SHARE")->default_value(*to, fmt::format("{}", *to));
  };
  const auto number = [](auto* to) {
    return po::value(to)->value_name("N")->default_value(*to, fmt::format("{}", *to));
  };
  auto add = all.add_options();
  add("bootstrap-servers",
      text(&options->kafka.bootstrap_servers)->default_value(options->kafka.bootstrap_servers),
      "brokers to start from");
  add("topic", text(&options->kafka.topic)->default_value(options->kafka.topic), "topic");
  add("create-topic", po::value(&raw->create_topic)->value_name("PARTITIONS:REPLICATION"),
      "create the topic if it is not there");
  add("events", number(&options->count),
      "how many; 0: until --seconds have passed or SIGINT or SIGTERM comes. With --seconds and "
      "without --events: 0");
  add("seconds", po::value(&options->seconds)->value_name("S"), "stop after so long");
  add("rate", number(&options->rate), "events a second; 0: as fast as possible");
  add("users", number(&events.users), "how many users");
  add("first-user", number(&events.first_user), "the lowest user_id; the others follow it");
  add("skew", po::value(&events.skew)->value_name("S")->default_value(0, "0"),
      "0: all users alike; else about Zipf's law with this exponent, the lowest user_id the "
      "busiest");
  add("null-users", share(&events.null_user_share), "events whose user_id is null or missing");
  add("clicks", share(&events.click_share), "events that are clicks");
  add("broken", share(&events.broken_share), "events that are not JSON: cut off, garbage, empty");
  add("seed", number(&events.seed), "the same seed makes the same events");
  add("truth", po::value(&options->truth_file)->value_name("FILE"),
      "write the clicks of each user there, as `clicktally-inspect export --format csv` does; only "
      "once every event is stored");
  add("append-truth", po::bool_switch(&options->append_truth),
      "add to the counts that FILE already holds");
  add("lines", po::value(&options->lines_file)->value_name("FILE"),
      "make no events: send the lines of FILE as they are; - is standard input");
  add("print", po::bool_switch(&options->print), "print the events, one a line; no Kafka");
  add(",X", po::value(&raw->properties)->composing()->value_name("NAME=VALUE"),
      "a librdkafka property, as in -X compression.codec=lz4");
  add("help", po::bool_switch(&options->help), "this text");
  return all;
}

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status check_numbers(const ProducerOptions& options) {
  const EventOptions& events = options.events;
  const std::pair<const char*, double> shares[] = {{"null-users", events.null_user_share},
                                                   {"clicks", events.click_share},
                                                   {"broken", events.broken_share}};
  for (const auto& [name, value] : shares) {
    if (!(value >= 0 && value <= 1)) {
      return wrong(fmt::format("--{} is {}: give a share from 0 to 1", name, value));
    }
  }
  const std::pair<const char*, double> quantities[] = {
      {"seconds", options.seconds}, {"rate", options.rate}, {"skew", events.skew}};
  for (const auto& [name, value] : quantities) {
    if (!(value >= 0) || std::isinf(value)) {
      return wrong(fmt::format("--{} is {}: give a number from 0 up", name, value));
    }
  }
  if (options.count < 0) {
    return wrong(fmt::format("--events is {}: give a number from 0 up", options.count));
  }
  using Id = std::numeric_limits<std::int32_t>;
  if (events.first_user < Id::min() || events.first_user > Id::max() || events.users < 1 ||
      events.users > std::int64_t{Id::max()} - events.first_user + 1) {
    return wrong(fmt::format("--users {} from --first-user {}: every user_id must be an int32",
                             events.users, events.first_user));
  }
  return absl::OkStatus();
}

absl::Status read_new_topic(std::string_view text, KafkaOutputOptions* kafka) {
  const char* const end = text.data() + text.size();
  const auto partitions = std::from_chars(text.data(), end, kafka->create_partitions);
  if (partitions.ec == std::errc{} && partitions.ptr != end && *partitions.ptr == ':') {
    const auto replication = std::from_chars(partitions.ptr + 1, end, kafka->create_replication);
    if (replication.ec == std::errc{} && replication.ptr == end && kafka->create_partitions > 0 &&
        kafka->create_replication > 0) {
      return absl::OkStatus();
    }
  }
  return wrong(fmt::format("--create-topic {}: give PARTITIONS:REPLICATION, as in 3:3", text));
}

absl::Status check_whole(RawOptions raw, bool count_given, ProducerOptions* options) {
  if (options->seconds > 0 && !count_given) options->count = 0;
  if (options->append_truth && options->truth_file.empty()) {
    return wrong("--append-truth needs --truth FILE");
  }
  if (!options->lines_file.empty() && !options->truth_file.empty()) {
    return wrong("--lines sends what it is given and knows no truth: leave out --truth");
  }
  if (!raw.create_topic.empty()) {
    if (absl::Status status = read_new_topic(raw.create_topic, &options->kafka); !status.ok()) {
      return status;
    }
  }
  for (const std::string& property : raw.properties) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos || equals == 0) {
      return wrong(fmt::format("-X {}: give NAME=VALUE", property));
    }
    options->kafka.properties.emplace_back(property.substr(0, equals), property.substr(equals + 1));
  }
  return check_numbers(*options);
}

}  // namespace

std::string producer_help() {
  ProducerOptions options;
  options.count = 1000;
  RawOptions raw;
  std::ostringstream out;
  out << "clicktally-produce: sends seeded clickstream events to a Kafka topic, to its partitions\n"
         "in turn, and writes down what a correct count of them is.\n\n"
      << describe(&options, &raw)
      << "\nEnds with one line on stderr. Exit code 0: every event is stored once; 1: some may "
         "not\n"
         "be, and no truth was written; 2: the command line is wrong. The first SIGINT or SIGTERM\n"
         "ends the events and waits for their delivery, a second one ends at once.\n";
  return out.str();
}

absl::StatusOr<ProducerOptions> parse_producer_options(int argc, const char* const* argv) {
  ProducerOptions options;
  options.count = 1000;
  RawOptions raw;
  const po::options_description description = describe(&options, &raw);
  po::variables_map values;
  try {
    namespace style = po::command_line_style;
    po::store(po::command_line_parser(argc, argv)
                  .options(description)
                  .positional(po::positional_options_description())
                  .style(style::unix_style & ~style::allow_guessing)
                  .run(),
              values);
    po::notify(values);
  } catch (const po::error& error) {
    return wrong(fmt::format("{}; see --help", error.what()));
  }
  if (options.help) return options;
  const absl::Status status = check_whole(std::move(raw), !values["events"].defaulted(), &options);
  if (!status.ok()) return status;
  return options;
}

}  // namespace clicktally
