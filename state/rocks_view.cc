#include "state/rocks_view.h"

#include <rocksdb/perf_level.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "model/state_key.h"
#include "state/count_value.h"
#include "state/dead_letter_row.h"
#include "state/rocks_slice.h"

namespace clicktally {
namespace {

using rocksdb::Slice;

class RocksView : public CountView {
 public:
  RocksView(rocksdb::DB& db, StatusWords status)
      : db_(db), snapshot_(db.GetSnapshot()), status_(std::move(status)) {}
  ~RocksView() override { db_.ReleaseSnapshot(snapshot_); }

  absl::Status scan(UserKey from, UserKey to,
                    const std::function<bool(const UserCount&)>& visit) const override {
    // Nobody reads what RocksDB counts for each thread; counting is a tenth of a scan.
    rocksdb::SetPerfLevel(rocksdb::kDisable);
    rocksdb::ReadOptions options = read_options();
    options.fill_cache = false;  // each block is read once, and would drive others out
    const std::unique_ptr<rocksdb::Iterator> rows(db_.NewIterator(options));
    const StateKey first(from);
    for (rows->Seek(slice_of(first.bytes())); rows->Valid(); rows->Next()) {
      if (rows->key()[0] != kUserPrefix) break;
      const auto user = StateKey::parse(view_of(rows->key()));
      const auto count = CountValue::parse(view_of(rows->value()));
      if (!user || !count) return absl::DataLossError("the state holds a row that is no count");
      if (*user > to || !visit({*user, count->clicks, count->last_batch})) break;
    }
    return status_(rows->status());
  }

  absl::StatusOr<std::optional<UserCount>> get(UserKey user) const override {
    const StateKey key(user);
    std::string value;
    const rocksdb::Status found = db_.Get(read_options(), slice_of(key.bytes()), &value);
    if (found.IsNotFound()) return std::nullopt;
    if (!found.ok()) return status_(found);
    const auto count = CountValue::parse(value);
    if (!count) return absl::DataLossError("the state holds a row that is no count");
    return UserCount{user, count->clicks, count->last_batch};
  }

  absl::Status get_sorted(std::span<const UserKey> users,
                          const std::function<void(const UserCount&)>& visit) const override {
    for (; !users.empty(); users = users.subspan(std::min(users.size(), kUsersAtOnce))) {
      const absl::Status got = get_some(users.first(std::min(users.size(), kUsersAtOnce)), visit);
      if (!got.ok()) return got;
    }
    return absl::OkStatus();
  }

  absl::Status scan_dead_letters(
      PartitionId partition, Offset from,
      const std::function<bool(const DeadLetter&)>& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> rows(db_.NewIterator(read_options()));
    for (rows->Seek(dead_letter_key(partition, from)); rows->Valid(); rows->Next()) {
      if (rows->key()[0] != kDeadLetterPrefix) break;
      if (rows->value().empty()) continue;  // forgotten
      const auto letter = parse_dead_letter(view_of(rows->key()), view_of(rows->value()));
      if (!letter) return absl::DataLossError("the state holds a row that is no dead letter");
      if (letter->partition != partition || !visit(*letter)) break;
    }
    return status_(rows->status());
  }

 private:
  static constexpr std::size_t kUsersAtOnce = 128;

  absl::Status get_some(std::span<const UserKey> users,
                        const std::function<void(const UserCount&)>& visit) const {
    const std::vector<StateKey> keys(users.begin(), users.end());
    std::array<Slice, kUsersAtOnce> slices;
    std::array<rocksdb::PinnableSlice, kUsersAtOnce> values;
    std::array<rocksdb::Status, kUsersAtOnce> found;
    std::ranges::transform(keys, slices.begin(),
                           [](const StateKey& key) { return slice_of(key.bytes()); });
    db_.MultiGet(read_options(), db_.DefaultColumnFamily(), users.size(), slices.data(),
                 values.data(), found.data(), /*sorted_input=*/true);
    for (std::size_t i = 0; i < users.size(); ++i) {
      if (found[i].IsNotFound()) continue;
      if (!found[i].ok()) return status_(found[i]);
      const auto count = CountValue::parse(view_of(values[i]));
      if (!count) return absl::DataLossError("the state holds a row that is no count");
      visit({users[i], count->clicks, count->last_batch});
    }
    return absl::OkStatus();
  }

  rocksdb::ReadOptions read_options() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    return options;
  }

  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
  const StatusWords status_;
};

class SettledView final : public RocksView {
 public:
  SettledView(rocksdb::DB& db, StatusWords status, AskCounts counts)
      : RocksView(db, std::move(status)), counts_(std::move(counts)) {}

  absl::Status scan(UserKey from, UserKey to,
                    const std::function<bool(const UserCount&)>& visit) const override {
    auto counts = counts_();
    return counts.ok() ? (*counts)->scan(from, to, visit) : counts.status();
  }

 private:
  const AskCounts counts_;
};

}  // namespace

std::unique_ptr<CountView> make_rocks_view(rocksdb::DB& db, StatusWords status) {
  return std::make_unique<RocksView>(db, std::move(status));
}

std::unique_ptr<CountView> make_settled_view(rocksdb::DB& db, StatusWords status,
                                             AskCounts counts) {
  return std::make_unique<SettledView>(db, std::move(status), std::move(counts));
}

}  // namespace clicktally
