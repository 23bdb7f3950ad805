#include "state/rocks_settled_counts.h"

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

namespace clicktally {

// A cursor for each file that has begun and not ended, the one at the least user first: a binary
// heap. A file begins when its first user is due, so files that do not overlap are open one at a
// time.
class CursorHeap {
 public:
  CursorHeap(std::span<const SettledCounts::File> files, UserKey from)
      : waiting_(files), from_(from) {}

  absl::Status begin() { return let_in(); }
  bool empty() const { return heap_.empty(); }
  const TableCursor& first() const { return *heap_[0].cursor; }
  absl::Status next() {
    TableCursor& cursor = *heap_[0].cursor;
    if (cursor.next()) {
      heap_[0].user = cursor.user();
      sink();
    } else {
      if (!cursor.status().ok()) return cursor.status();
      std::ranges::pop_heap(heap_, std::greater(), &Place::user);
      heap_.pop_back();
    }
    return let_in();
  }

 private:
  struct Place {
    UserKey user;
    std::unique_ptr<TableCursor> cursor;
  };

  absl::Status let_in() {
    while (!waiting_.empty() && (heap_.empty() || waiting_.front().first <= heap_[0].user)) {
      auto cursor = std::make_unique<TableCursor>(*waiting_.front().rows, from_);
      waiting_ = waiting_.subspan(1);
      if (cursor->next()) {
        heap_.push_back({cursor->user(), std::move(cursor)});
        std::ranges::push_heap(heap_, std::greater(), &Place::user);
      } else if (!cursor->status().ok()) {
        return cursor->status();
      }
    }
    return absl::OkStatus();
  }

  // The first went on; most often it stays where it is or near it. std's heaps cannot do this
  // without taking it out.
  void sink() {
    std::size_t at = 0;
    while (true) {
      std::size_t least = 2 * at + 1;
      if (least >= heap_.size()) return;
      if (least + 1 < heap_.size() && heap_[least + 1].user < heap_[least].user) ++least;
      if (heap_[at].user <= heap_[least].user) return;
      std::swap(heap_[at], heap_[least]);
      at = least;
    }
  }

  std::span<const SettledCounts::File> waiting_;
  const UserKey from_;
  std::vector<Place> heap_;
};

absl::StatusOr<std::unique_ptr<SettledCounts>> SettledCounts::make(
    std::vector<std::unique_ptr<TableRows>> files, std::vector<UserCount> logged) {
  auto counts = std::make_unique<SettledCounts>();
  counts->logged_ = std::move(logged);
  for (auto& file : files) {
    TableCursor first(*file, kFirstUser);
    if (first.next()) counts->files_.push_back({first.user(), std::move(file)});
    if (!first.status().ok()) return first.status();
  }
  std::ranges::sort(counts->files_, {}, &File::first);
  return counts;
}

absl::Status SettledCounts::scan(UserKey from, UserKey to,
                                 const std::function<bool(const UserCount&)>& visit) const {
  CursorHeap files(files_, from);
  if (absl::Status s = files.begin(); !s.ok()) return s;
  auto logged = std::ranges::lower_bound(logged_, from, {}, &UserCount::user);
  while (!files.empty() || logged != logged_.end()) {
    UserKey user = kLastUser;
    if (!files.empty()) user = files.first().user();
    if (logged != logged_.end()) user = std::min(user, logged->user);
    if (user > to) break;
    CountValue sum;
    if (logged != logged_.end() && logged->user == user) {
      sum = {logged->clicks, logged->last_batch};
      ++logged;
    }
    bool was_put = false;
    while (!files.empty() && files.first().user() == user) {
      if (files.first().is_put()) {
        if (was_put) return files.first().damaged("a user has two counts to begin with");
        was_put = true;
      }
      sum.merge(files.first().count());
      if (absl::Status s = files.next(); !s.ok()) return s;
    }
    if (!visit({user, sum.clicks, sum.last_batch})) break;
  }
  return absl::OkStatus();
}

}  // namespace clicktally
