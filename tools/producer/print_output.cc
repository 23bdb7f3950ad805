#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include "tools/producer/event_output.h"

namespace clicktally {
namespace {

class PrintOutput final : public EventOutput {
 public:
  absl::Status send(std::string_view value) override {
    std::fwrite(value.data(), 1, value.size(), stdout);
    std::fputc('\n', stdout);
    return std::ferror(stdout) != 0 ? failure() : absl::OkStatus();
  }

  // Whoever reads a slow run wants to see its events as they come.
  void wait(int milliseconds) override {
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }

  absl::Status finish() override {
    return std::fflush(stdout) != 0 || std::ferror(stdout) != 0 ? failure() : absl::OkStatus();
  }

 private:
  static absl::Status failure() {
    return absl::AbortedError(fmt::format("cannot write to stdout: {}", std::strerror(errno)));
  }
};

}  // namespace

std::unique_ptr<EventOutput> make_print_output() {
  return std::make_unique<PrintOutput>();
}

}  // namespace clicktally
