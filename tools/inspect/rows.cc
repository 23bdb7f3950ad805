#include "tools/inspect/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <random>
#include <system_error>
#include <thread>

#include "base/hash.h"
#include "base/text.h"
#include "state/statistics.h"

namespace clicktally {
namespace {

constexpr std::size_t kRowsAtOnce = 16384;
constexpr std::int64_t kFewUsers = 20'000;
constexpr std::size_t kPlaces = 64;
constexpr int kRowsAPlace = 32;
constexpr std::size_t kBarWidth = 40;

}  // namespace

absl::Status scan_in_parts(const CountStore& store,
                           const std::function<bool(std::size_t, const UserCount&)>& visit) {
  auto view = store.view();
  if (!view.ok()) return view.status();
  const std::vector<UserKey> cuts = statistics_of(store).split(kParts);
  const UserKey cut = cuts.empty() ? kLastUser + 1 : cuts[0];
  const auto scan_first = [&] {
    return (*view)->scan(kFirstUser, cut - 1, [&](const UserCount& c) { return visit(0, c); });
  };
  if (cuts.empty()) return scan_first();
  absl::Status second;
  const auto scan_second = [&] {
    auto own = store.view();
    second = own.ok()
                 ? (*own)->scan(cut, kLastUser, [&](const UserCount& c) { return visit(1, c); })
                 : own.status();
  };
  std::thread helper;
  try {
    helper = std::thread(scan_second);
  } catch (const std::system_error&) {  // no thread to be had: one after the other
    scan_second();
  }
  const absl::Status first = scan_first();
  if (helper.joinable()) helper.join();
  return first.ok() ? second : first;
}

absl::StatusOr<const UserCount*> RowCursor::peek() {
  if (at_ < rows_.size()) return &rows_[at_];
  if (ended_) return nullptr;
  rows_.clear();
  at_ = 0;
  const absl::Status scanned = view_.scan(from_, kLastUser, [&](const UserCount& count) {
    rows_.push_back(count);
    return rows_.size() < kRowsAtOnce;
  });
  if (!scanned.ok()) return scanned;
  ended_ = rows_.size() < kRowsAtOnce || rows_.back().user == kLastUser;
  if (!rows_.empty()) from_ = rows_.back().user + 1;
  return rows_.empty() ? nullptr : rows_.data();
}

void RowSums::add(const UserCount& count) {
  ++users;
  clicks += count.clicks;
  if (count.user == kNullUser) null_clicks += count.clicks;
  digest += digest_of(count.user, count.clicks);
}

absl::Status RowSums::check(const CommitRecord& record) const {
  const PartitionCounters totals = record.totals();
  if (digest == record.digest && clicks == totals.clicks && null_clicks == record.null_clicks()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format(
      "the rows add up to {} clicks, {} of NULL, and digest {}; batch {} has {}, {} and {}: the "
      "state is damaged; restore the checkpoint from a backup",
      clicks, null_clicks, to_hex(digest), record.batch, totals.clicks, record.null_clicks(),
      to_hex(record.digest)));
}

void Spread::add(std::int64_t clicks) {
  ++users[static_cast<int>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(0, clicks))))];
  ++looked_at;
}

absl::StatusOr<Spread> sample_spread(const CountStore& store, const CountView& view,
                                     std::int64_t most_users, std::uint64_t seed) {
  Spread spread;
  const std::vector<UserKey> cuts =
      most_users <= kFewUsers ? std::vector<UserKey>() : statistics_of(store).split(kPlaces);
  if (cuts.empty()) {
    spread.of_all = most_users <= kFewUsers;
    const absl::Status scanned = view.scan(kFirstUser, kLastUser, [&](const UserCount& count) {
      spread.add(count.clicks);
      return spread.of_all || spread.looked_at < kFewUsers;
    });
    if (!scanned.ok()) return scanned;
    return spread;
  }
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    const UserKey from =
        cuts[i] +
        static_cast<UserKey>(random() % static_cast<std::uint64_t>(cuts[i + 1] - cuts[i]));
    int left = kRowsAPlace;
    const absl::Status scanned = view.scan(from, cuts[i + 1], [&](const UserCount& count) {
      spread.add(count.clicks);
      return --left > 0;
    });
    if (!scanned.ok()) return scanned;
  }
  return spread;
}

std::string picture_of(const Spread& spread, std::uint64_t seed) {
  std::string text =
      fmt::format("clicks a user, {}\n",
                  spread.of_all ? fmt::format("of all {} users", group_thousands(spread.looked_at))
                                : fmt::format("about: of a sample of {} users, seed {}",
                                              group_thousands(spread.looked_at), seed));
  std::int64_t most = 1;
  for (const auto& [digits, users] : spread.users) most = std::max(most, users);
  for (const auto& [digits, users] : spread.users) {
    const std::int64_t from = digits == 0 ? 0 : std::int64_t{1} << (digits - 1);
    const std::int64_t to = digits == 0 ? 0 : from + (from - 1);
    const auto length =
        static_cast<std::size_t>(users) * kBarWidth / static_cast<std::size_t>(most);
    const double share = 100.0 * static_cast<double>(users) / static_cast<double>(spread.looked_at);
    text += fmt::format(
        "{:>23}  {:<{}}  {:>5.1f} %\n",
        from == to ? group_thousands(from) : group_thousands(from) + " - " + group_thousands(to),
        std::string(std::max<std::size_t>(length, 1), '#'), kBarWidth, share);
  }
  return text;
}

}  // namespace clicktally
