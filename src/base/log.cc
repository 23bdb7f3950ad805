#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace clicktally {
namespace {

spdlog::logger& logger() {
  // Leaked on purpose: librdkafka's and RocksDB's threads may log while the process exits.
  static spdlog::logger& instance = *[] {
    auto* made =
        new spdlog::logger("clicktally", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_log_level(LogLevel level) {
  logger().set_level(level_of(level));
}

bool log_enabled(LogLevel level) {
  return logger().should_log(level_of(level));
}

void log_line(LogLevel level, std::string_view line) {
  logger().log(level_of(level), one_line(line));
}

}  // namespace clicktally
