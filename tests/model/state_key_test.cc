#include "model/state_key.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace clicktally {
namespace {

using namespace std::string_literals;

std::string bytes_of(UserKey user) {
  return std::string(StateKey(user).bytes());
}

const std::vector<UserKey> kUsersInOrder{kNullUser, -2147483648, -2147483647, -65536,    -256,
                                         -255,      -1,          0,           1,         255,
                                         256,       65535,       2147483646,  2147483647};

TEST(StateKey, BytesAreThoseOfTheFormatForEver) {
  EXPECT_EQ(bytes_of(kNullUser), "u\x00"s);
  EXPECT_EQ(bytes_of(-2147483648), "u\x01\x00\x00\x00\x00"s);
  EXPECT_EQ(bytes_of(-1), "u\x01\x7f\xff\xff\xff"s);
  EXPECT_EQ(bytes_of(0), "u\x01\x80\x00\x00\x00"s);
  EXPECT_EQ(bytes_of(1001), "u\x01\x80\x00\x03\xe9"s);
  EXPECT_EQ(bytes_of(2147483647), "u\x01\xff\xff\xff\xff"s);
}

TEST(StateKey, IsReadBackAsItWasWritten) {
  for (const UserKey user : kUsersInOrder) EXPECT_EQ(StateKey::parse(bytes_of(user)), user);
}

TEST(StateKey, SortsAsUsersArePrinted) {
  for (std::size_t i = 1; i < kUsersInOrder.size(); ++i) {
    EXPECT_LT(kUsersInOrder[i - 1], kUsersInOrder[i]);
    EXPECT_LT(bytes_of(kUsersInOrder[i - 1]), bytes_of(kUsersInOrder[i])) << kUsersInOrder[i];
  }
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 10'000; ++i) {
    const auto a = static_cast<std::int32_t>(random());
    const auto b = static_cast<std::int32_t>(random());
    ASSERT_EQ(a < b, bytes_of(a) < bytes_of(b)) << a << " " << b;
    ASSERT_EQ(StateKey::parse(bytes_of(a)), a);
  }
}

TEST(StateKey, OtherBytesAreNoUser) {
  for (const std::string& bytes :
       {""s, "u"s, "u\x01"s, "u\x00\x00"s, "u\x02"s, "v\x00"s, "u\x01\x80\x00\x00"s,
        "u\x01\x80\x00\x00\x00\x00"s, "u\x00\x80\x00\x00\x00"s, "v\x01\x80\x00\x00\x00"s,
        "u\x02\x80\x00\x00\x00"s}) {
    EXPECT_EQ(StateKey::parse(bytes), std::nullopt) << ::testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace clicktally
