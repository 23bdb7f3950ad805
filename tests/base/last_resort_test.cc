#include "base/last_resort.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

// libc's, which assert.h declares only where assertions are on.
extern "C" __attribute__((__noreturn__)) void __assert_fail(const char* assertion, const char* file,
                                                            unsigned line,
                                                            const char* function) noexcept;

namespace clicktally {
namespace {

std::system_error no_thread() {
  return std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
}

TEST(LastResortTest, WhatIsThrownForWantOfMemoryOrThreadsIsAShortage) {
  EXPECT_TRUE(status_of_body([] {}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(status_of_body([] { throw std::bad_alloc(); })));
  EXPECT_TRUE(absl::IsResourceExhausted(status_of_body([] { throw no_thread(); })));
  EXPECT_TRUE(absl::IsInternal(status_of_body([] { throw std::runtime_error("a bug"); })));
  EXPECT_TRUE(absl::IsInternal(status_of_body([] { throw 17; })));
}

TEST(LastResortTest, ThreadsThatTheSystemGivesAreGivenBack) {
  EXPECT_TRUE(check_threads(8).ok());
  EXPECT_TRUE(check_threads(0).ok());
}

// What ends a process that has the net; the line ends where it should.
template <typename Body>
void end_with_net(Body body) {
  install_last_resort("program");
  body();
}

TEST(LastResortDeathTest, AShortageInAForeignThreadIsOneLineAndExitCode7) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_with_net([] { std::thread([] { throw std::bad_alloc(); }).join(); }),
              ::testing::ExitedWithCode(7), "program: the system gives no more memory; [^\n]+\n$");
  EXPECT_EXIT(end_with_net([] { std::thread([] { throw no_thread(); }).join(); }),
              ::testing::ExitedWithCode(7), "program: the system gives no more threads; [^\n]+\n$");
}

TEST(LastResortDeathTest, AThreadThatRunsWhileTheFailedStartOfAnotherIsUnwoundToo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      end_with_net([] {
        try {
          const std::thread runs([] { std::this_thread::sleep_for(std::chrono::hours(1)); });
          throw no_thread();
        } catch (const std::exception&) {
        }
      }),
      ::testing::ExitedWithCode(7), "program: the system gives no more threads or memory;");
}

TEST(LastResortDeathTest, AnAssertionOfLibrdkafkasAllocationsIsAShortage) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_with_net([] { __assert_fail("p", "rd.h", 134, "rd_calloc"); }),
              ::testing::ExitedWithCode(7), "program: the system gives no more memory; [^\n]+\n$");
}

TEST(LastResortDeathTest, ABugIsStillACrash) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_with_net([] { __assert_fail("x == y", "a.c", 7, "f"); }),
              ::testing::KilledBySignal(SIGABRT), "a.c:7: f: Assertion `x == y' failed.\n");
  EXPECT_EXIT(end_with_net([] { std::thread([] { throw std::runtime_error("a bug"); }).join(); }),
              ::testing::KilledBySignal(SIGABRT), "program: a bug\n");
}

}  // namespace
}  // namespace clicktally
