#include "checkpoint/witness.h"

#include <fmt/format.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"

namespace clicktally {
namespace {

std::string_view word_of(WitnessOf what) {
  return what == WitnessOf::kCommitted ? "committed" : "shown";
}

std::string path_of(const CheckpointLayout& layout, WitnessOf what) {
  return what == WitnessOf::kCommitted ? layout.committed_file() : layout.shown_file();
}

std::string next_step(WitnessOf what) {
  return fmt::format(
      "restore the checkpoint from a backup, or remove this file to accept the state as it is{}",
      what == WitnessOf::kShown ? " and have its last batch shown again" : "");
}

std::string encode(WitnessOf what, const Witness& witness) {
  const std::string said =
      fmt::format("clicktally {} 1 epoch {:020d} batch {:020d} digest {}", word_of(what),
                  witness.epoch, witness.batch, to_hex(witness.digest));
  return fmt::format("{} check {:016x}\n", said, hash64(said));
}

// Nothing if it is not a whole line of its own.
std::optional<Witness> parse(WitnessOf what, const std::string& text) {
  Witness witness;
  std::array<char, 33> digest{};
  const int fields = std::sscanf(
      text.c_str(), "clicktally %*[a-z] 1 epoch %" SCNd64 " batch %" SCNd64 " digest %32[0-9a-f]",
      &witness.epoch, &witness.batch, digest.data());
  if (fields != 3 || !from_hex(digest.data(), &witness.digest)) return std::nullopt;
  return text == encode(what, witness) ? std::optional(witness) : std::nullopt;
}

// A running job may overwrite the line while it is read, half of it old and half new.
constexpr int kReadings = 3;

}  // namespace

absl::StatusOr<Witness> read_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what) {
  const std::string path = path_of(layout, what);
  for (int reading = 0; reading < kReadings; ++reading) {
    auto text = read_file(disk, path, 4096);
    if (absl::IsDataLoss(text.status())) {
      return absl::DataLossError(fmt::format("{}; {}", message_of(text.status()), next_step(what)));
    }
    if (!text.ok()) return text.status();
    if (const auto witness = parse(what, *text)) return *witness;
  }
  return absl::DataLossError(fmt::format("{}: damaged; {}", path, next_step(what)));
}

absl::Status create_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what,
                            const Witness& witness) {
  const char* name = what == WitnessOf::kCommitted ? CheckpointLayout::kCommittedName
                                                   : CheckpointLayout::kShownName;
  return publish_file(disk, layout.root(), name, encode(what, witness));
}

absl::Status write_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what,
                           const Witness& witness) {
  return disk.overwrite(path_of(layout, what), encode(what, witness));
}

absl::StatusOr<bool> check_witness(WitnessOf what, const Witness& witness,
                                   const CommitRecord& state) {
  const auto witness_at = std::tie(witness.epoch, witness.batch);
  const auto state_at = std::tie(state.epoch, state.batch);
  if (state_at > witness_at) return false;
  if (state_at < witness_at) {
    return absl::DataLossError(fmt::format(
        "the state is at batch {} of epoch {}, but batch {} of epoch {} was already {}: committed "
        "batches are missing",
        state.batch, state.epoch, witness.batch, witness.epoch, word_of(what)));
  }
  if (state.digest != witness.digest) {
    return absl::DataLossError(fmt::format(
        "batch {} was {} with digest {}, the state has digest {}: its counts are not those that "
        "were {}",
        state.batch, word_of(what), to_hex(witness.digest), to_hex(state.digest), word_of(what)));
  }
  return true;
}

}  // namespace clicktally
