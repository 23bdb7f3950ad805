// A state in memory: the slow, obvious one. "Disks" of stores outlive the stores themselves, so a
// test can close and reopen. Everything in it is instrumented by the sanitizers, unlike RocksDB.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "state/count_store.h"

namespace clicktally {

struct FakeState {
  std::mutex mutex;
  std::map<UserKey, UserCount> counts;
  std::map<std::pair<PartitionId, Offset>, DeadLetter> dead_letters;
  std::map<std::uint16_t, std::string> history;
  std::string record;
  bool has_record = false;
  Digest digest_error = 0;  // added to what the files say
  absl::Status fail_next_commit;
  absl::Status fail_next_snapshot;
  int log_is_long = 0;  // for so many times it is asked
  int commits = 0;
  std::atomic<int> scans = 0;
  // A copied store's directory holds its place in here, in the file kCopyName.
  std::vector<std::shared_ptr<FakeState>> copies;
  static constexpr char kCopyName[] = "CURRENT";
};

class FakeView final : public CountView {
 public:
  // Borrows the state, to count scans.
  explicit FakeView(FakeState& state)
      : scans_(state.scans), counts_(state.counts), dead_letters_(state.dead_letters) {}
  absl::Status scan(UserKey from, UserKey to,
                    const std::function<bool(const UserCount&)>& visit) const override {
    ++scans_;
    for (auto row = counts_.lower_bound(from); row != counts_.end() && row->first <= to; ++row) {
      if (!visit(row->second)) break;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<UserCount>> get(UserKey user) const override {
    const auto found = counts_.find(user);
    if (found == counts_.end()) return std::nullopt;
    return found->second;
  }
  absl::Status get_sorted(std::span<const UserKey> users,
                          const std::function<void(const UserCount&)>& visit) const override {
    for (const UserKey user : users) {
      if (counts_.contains(user)) visit(counts_.at(user));
    }
    return absl::OkStatus();
  }
  absl::Status scan_dead_letters(
      PartitionId partition, Offset from,
      const std::function<bool(const DeadLetter&)>& visit) const override {
    for (auto row = dead_letters_.lower_bound({partition, from});
         row != dead_letters_.end() && row->first.first == partition; ++row) {
      if (!visit(row->second)) break;
    }
    return absl::OkStatus();
  }

 private:
  std::atomic<int>& scans_;
  std::map<UserKey, UserCount> counts_;
  std::map<std::pair<PartitionId, Offset>, DeadLetter> dead_letters_;
};

class FakeCountStore final : public CountStore {
 public:
  FakeCountStore(Disk& disk, std::shared_ptr<FakeState> state, OpenMode mode)
      : disk_(disk), state_(std::move(state)), mode_(mode) {}

  absl::Status commit(const StateCommit& commit) override {
    const std::lock_guard lock(state_->mutex);
    if (mode_ == OpenMode::kReadOnly) return absl::InternalError("read-only");
    if (!state_->fail_next_commit.ok()) return state_->fail_next_commit;
    if (commit.record.empty() && !commit.first_counts) return absl::InternalError("no record");
    for (const UserClicks& row : commit.changed) {
      UserCount& count = state_->counts[row.user];
      const std::int64_t before = commit.first_counts ? 0 : count.clicks;
      count = {row.user, before + row.clicks, commit.batch};
    }
    for (const DeadLetter& letter : commit.forgotten) {
      state_->dead_letters.erase({letter.partition, letter.offset});
    }
    for (const DeadLetter& letter : commit.dead_letters) {
      state_->dead_letters[{letter.partition, letter.offset}] = letter;
    }
    ++state_->commits;
    if (commit.record.empty()) return absl::OkStatus();  // first counts
    if (commit.batch != kNoBatch) {
      const auto slot = static_cast<std::uint16_t>(commit.batch % kHistorySlots);
      state_->history[slot] = std::string(commit.record);
    }
    state_->record = std::string(commit.record);
    state_->has_record = true;
    return absl::OkStatus();
  }
  void drop_dead_letters_below(const std::map<PartitionId, Offset>& floors) override {
    const std::lock_guard lock(state_->mutex);
    std::erase_if(state_->dead_letters, [&](const auto& row) {
      const auto floor = floors.find(row.first.first);
      return floor != floors.end() && row.first.second < floor->second;
    });
  }
  absl::StatusOr<std::string> last_record() const override {
    const std::lock_guard lock(state_->mutex);
    if (!state_->has_record) return absl::NotFoundError("no record");
    return state_->record;
  }
  absl::StatusOr<std::optional<std::string>> history(BatchId batch) const override {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->history.find(static_cast<std::uint16_t>(batch % kHistorySlots));
    if (found == state_->history.end()) return std::nullopt;
    return found->second;
  }
  absl::StatusOr<std::unique_ptr<CountView>> view() const override {
    const std::lock_guard lock(state_->mutex);
    return std::make_unique<FakeView>(*state_);
  }
  absl::StatusOr<Digest> sum_of_file_digests() const override {
    const std::lock_guard lock(state_->mutex);
    Digest sum = state_->digest_error;
    for (const auto& [user, count] : state_->counts) sum += digest_of(user, count.clicks);
    return sum;
  }
  absl::StatusOr<bool> shorten_log() override {
    const std::lock_guard lock(state_->mutex);
    return state_->log_is_long == 0 || --state_->log_is_long == 0;
  }
  absl::Status snapshot_to(const std::string& path) override {
    const std::lock_guard lock(state_->mutex);
    if (!state_->fail_next_snapshot.ok()) return state_->fail_next_snapshot;
    auto copy = std::make_shared<FakeState>();
    copy->counts = state_->counts;
    copy->dead_letters = state_->dead_letters;
    copy->history = state_->history;
    copy->record = state_->record;
    copy->has_record = state_->has_record;
    copy->digest_error = state_->digest_error;
    if (absl::Status s = disk_.create_dir(path); !s.ok()) return s;
    state_->copies.push_back(copy);
    return publish_file(disk_, path, FakeState::kCopyName,
                        std::to_string(state_->copies.size() - 1));
  }
  std::vector<TableFile> table_files() const override { return {}; }
  absl::Status scan_table_file(const std::string&, const ScanPace&) const override {
    return absl::OkStatus();
  }

 private:
  Disk& disk_;
  std::shared_ptr<FakeState> state_;
  OpenMode mode_;
};

// Opens `state`, or the copy of it that `path` holds; makes the directory, as a real state would.
inline StoreOpener fake_opener(std::shared_ptr<FakeState> state) {
  return [state](Disk& disk, const std::string& path,
                 OpenMode mode) -> absl::StatusOr<std::unique_ptr<CountStore>> {
    if (mode == OpenMode::kCreate) {
      if (absl::Status status = disk.create_dir(path); !status.ok()) return status;
    }
    auto copy = read_file(disk, path + "/" + FakeState::kCopyName);
    if (!copy.ok()) return std::make_unique<FakeCountStore>(disk, state, mode);
    const std::lock_guard lock(state->mutex);
    return std::make_unique<FakeCountStore>(disk, state->copies.at(std::stoul(*copy)), mode);
  };
}

}  // namespace clicktally
