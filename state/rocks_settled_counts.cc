#include "state/rocks_settled_counts.h"

#include <algorithm>
#include <utility>

#include "state/rocks_statistics.h"

namespace clicktally {
namespace {

// Cursors, the one at the least user first: a binary heap. Most steps leave a cursor where it is or
// near it, and std's heaps cannot replace the first without taking it out.
class CursorHeap {
 public:
  explicit CursorHeap(const std::vector<std::unique_ptr<TableRows>>& files) {
    for (const auto& file : files) cursors_.push_back(std::make_unique<TableCursor>(*file));
  }

  absl::Status seek(UserKey from) {
    for (const auto& cursor : cursors_) {
      if (cursor->seek(from)) heap_.push_back({cursor->user(), cursor.get()});
      if (!cursor->status().ok()) return cursor->status();
    }
    for (std::size_t i = heap_.size() / 2; i-- > 0;) sink(i);
    return absl::OkStatus();
  }
  bool empty() const { return heap_.empty(); }
  UserKey user() const { return heap_[0].user; }
  const CountValue& count() const { return heap_[0].cursor->count(); }
  absl::Status next() {
    TableCursor& cursor = *heap_[0].cursor;
    if (cursor.next()) {
      heap_[0].user = cursor.user();
    } else {
      if (!cursor.status().ok()) return cursor.status();
      heap_[0] = heap_.back();
      heap_.pop_back();
    }
    sink(0);
    return absl::OkStatus();
  }

 private:
  struct Place {
    UserKey user;
    TableCursor* cursor;
  };

  void sink(std::size_t at) {
    while (true) {
      std::size_t least = 2 * at + 1;
      if (least >= heap_.size()) return;
      if (least + 1 < heap_.size() && heap_[least + 1].user < heap_[least].user) ++least;
      if (heap_[at].user <= heap_[least].user) return;
      std::swap(heap_[at], heap_[least]);
      at = least;
    }
  }

  std::vector<std::unique_ptr<TableCursor>> cursors_;
  std::vector<Place> heap_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SettledCounts>> SettledCounts::open(Disk& disk, rocksdb::DB& db,
                                                                   const StatusWords& words) {
  auto counts = std::make_unique<SettledCounts>();
  rocksdb::TablePropertiesCollection files;
  if (absl::Status s = words(db.GetPropertiesOfAllTables(&files)); !s.ok()) return s;
  for (const auto& [path, properties] : files) {
    auto file = TableRows::open(disk, path, *properties);
    if (!file.ok()) return file.status();
    counts->files_.push_back(std::move(*file));
  }
  const absl::Status logged =
      words(scan_log(db, [&](const UserCount& row) { counts->logged_.push_back(row); }));
  if (!logged.ok()) return logged;
  return counts;
}

absl::Status SettledCounts::scan(UserKey from, UserKey to,
                                 const std::function<bool(const UserCount&)>& visit) const {
  CursorHeap files(files_);
  if (absl::Status s = files.seek(from); !s.ok()) return s;
  auto logged = std::ranges::lower_bound(logged_, from, {}, &UserCount::user);
  while (!files.empty() || logged != logged_.end()) {
    CountValue sum;
    UserKey user = kLastUser;
    if (!files.empty()) user = files.user();
    if (logged != logged_.end()) user = std::min(user, logged->user);
    if (user > to) break;
    if (logged != logged_.end() && logged->user == user) {
      sum = {logged->clicks, logged->last_batch};
      ++logged;
    }
    while (!files.empty() && files.user() == user) {
      sum.merge(files.count());
      if (absl::Status s = files.next(); !s.ok()) return s;
    }
    if (!visit({user, sum.clicks, sum.last_batch})) break;
  }
  return absl::OkStatus();
}

}  // namespace clicktally
