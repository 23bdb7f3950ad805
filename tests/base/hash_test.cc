// The hashes are part of the checkpoint format. The values were computed with another program, the
// xxhash module of Python (libxxhash 0.8.4).
#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clicktally {
namespace {

std::string pattern(std::size_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < length; ++i) bytes += static_cast<char>(i * 131 + 7);
  return bytes;
}

struct Known {
  std::size_t length;
  std::uint64_t hash64;
  std::string hash128;
};

// XXH3 has a way of its own for each range of lengths: both sides of every boundary.
const std::vector<Known> kKnown{
    {0, 0x2D06800538D394C2, "99aa06d3014798d86001c324468d497f"},
    {1, 0x4C5CCA45D0F4811F, "495b62073ef70ca44c5cca45d0f4811f"},
    {2, 0x29C60963CBFA4E6E, "f1b5eec902a1eb5e29c60963cbfa4e6e"},
    {3, 0x6E3E2670E61106AC, "390cdc5b4a895dd76e3e2670e61106ac"},
    {4, 0x5C4C63133443D03F, "aa6e2f274640a3f43d668af6f2a44d77"},
    {8, 0xF9FD4DD0B04D78F5, "6a86a3bda6af4e3d61ddbe7f31a6100d"},
    {9, 0x7C20DF9712C26EDF, "664c7ca18afd62558c7b67fd458a936b"},
    {16, 0x86ABF6BACCEA0858, "7f9a218b0425449ae2ce54a7c19c730d"},
    {17, 0xB58BF5DC5022D071, "66fc23f6439dbd778d96ef110fcdebb4"},
    {128, 0x10D17F72C0CCBA41, "aec730751478556cff361dec1385710a"},
    {129, 0x1648BDC3DB49D1A2, "98cd36ccbb5579264545b3a09738e31a"},
    {240, 0xB6CFAF343FAB81E6, "5293e17bf553903d3f2c53e72293711f"},
    {241, 0x956CAE592C67279E, "b53840fe3fedf161956cae592c67279e"},
    {512, 0xA0E9790EB93990D7, "7509d702d4519576a0e9790eb93990d7"},
    {1024, 0x70BD377D9574F4BB, "f69630613f24324d70bd377d9574f4bb"},
    {4096, 0x9DDD66C14AF0DAFF, "3e0ff38fa88a55ea9ddd66c14af0daff"},
    {100000, 0x14CE8D6FC2C4868B, "e9e46da59b77e42314ce8d6fc2c4868b"},
};

TEST(Hash, ValuesAreThoseOfTheFormatForEver) {
  for (const Known& known : kKnown) {
    EXPECT_EQ(hash64(pattern(known.length)), known.hash64) << known.length;
    EXPECT_EQ(to_hex(hash128(pattern(known.length))), known.hash128) << known.length;
  }
  EXPECT_EQ(hash64("abc"), 0x78AF5F94892F3950U);
  EXPECT_EQ(to_hex(hash128("clicktally")), "b840a1f0b4b008384709a242f0076e1c");
}

TEST(Hash, HexadecimalIsReadBackAsItWasWritten) {
  for (const Known& known : kKnown) {
    absl::uint128 value = 0;
    ASSERT_TRUE(from_hex(known.hash128, &value)) << known.hash128;
    EXPECT_EQ(value, hash128(pattern(known.length)));
  }
  EXPECT_EQ(to_hex(0), std::string(32, '0'));
  EXPECT_EQ(to_hex(absl::Uint128Max()), std::string(32, 'f'));
  EXPECT_EQ(to_hex(absl::MakeUint128(1, 2)), "00000000000000010000000000000002");
}

TEST(Hash, NothingButThirtyTwoLowerCaseDigitsIsHexadecimal) {
  const std::string good = "0123456789abcdef0123456789abcdef";
  absl::uint128 value = 0;
  ASSERT_TRUE(from_hex(good, &value));
  EXPECT_EQ(value, absl::MakeUint128(0x0123456789abcdef, 0x0123456789abcdef));
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "0", "0x" + good.substr(2), "+" + good.substr(1),
        "-" + good.substr(1), " " + good.substr(1), good.substr(0, 16) + "-" + good.substr(17),
        "g" + good.substr(1), good.substr(0, 31) + " ",
        std::string("0123456789ABCDEF0123456789ABCDEF")}) {
    EXPECT_FALSE(from_hex(bad, &value)) << bad;
  }
}

}  // namespace
}  // namespace clicktally
