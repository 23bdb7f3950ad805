// What a forgetful disk holds: of every file and directory what a program sees now, and beside it
// what a power loss would leave.
//
// The rules of the loss (ordered metadata as of ext4 and XFS, and nothing beyond it)
//   - bytes appended are safe after the file's sync; of later ones a power loss leaves none, a
//     prefix, or a prefix and rubbish;
//   - bytes overwritten in place (at most one sector) are the old or the new ones until the sync;
//   - names are safe after their directory's sync; of later changes to one directory a power loss
//     keeps a prefix, in the order in which they were made, each change (a rename is one) whole;
//   - nothing else makes anything safe: the sync of a file does not save its name, the sync of a
//     directory saves no file's bytes and no name in another directory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clicktally {

// A small generator whose numbers are the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

 private:
  std::uint64_t state_;
};

struct Node;
using NodePtr = std::shared_ptr<Node>;
using Entries = std::map<std::string, NodePtr>;
// One change of a directory: names that it sets, or takes away (null), all at once.
using Change = std::vector<std::pair<std::string, NodePtr>>;

struct Node {
  bool is_directory = false;
  // Of a directory.
  Entries entries;              // now
  Entries safe_entries;         // as of its last sync
  std::vector<Change> changes;  // since
  // Of a file.
  std::string bytes;                   // now
  std::size_t safe_size = 0;           // as of its last sync
  std::vector<std::string> overwrote;  // what stood there before each overwrite since
  bool doomed = false;                 // a sync of it failed: what was unsafe then stays so

  void set(Change change);
  void sync();
};

void apply_change(const Change& change, Entries* entries);

enum class Damage {
  kDropped,  // of unsynced bytes nothing is left
  kTorn,     // a prefix
  kGarbled,  // a prefix, then zeros or rubbish
  kNames,    // all bytes are left, but every unsynced change of a directory is undone
  kEvery,    // for whoever makes an image of each
};

// What a power loss leaves of `root`; the seed decides whatever may go either way.
NodePtr survivors(const Node& root, Damage damage, std::uint64_t seed);

NodePtr new_directory();

// A real directory. What is read from one counts as safe.
NodePtr load_directory(const std::string& path);
void save_directory(const Node& root, const std::string& path);  // replaces what is there

// The whole image in one file, with what is not safe: between two lives. load_image gives null if
// there is no such file.
NodePtr load_image(const std::string& path);
void save_image(const NodePtr& root, const std::string& path);

}  // namespace clicktally
