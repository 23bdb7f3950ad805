#include "checkpoint/shown_witness.h"

#include <fmt/format.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"

namespace clicktally {

std::string encode_shown(const ShownWitness& shown) {
  const std::string said = fmt::format("clicktally shown 1 epoch {:020d} batch {:020d} digest {}",
                                       shown.epoch, shown.batch, to_hex(shown.digest));
  return fmt::format("{} check {:016x}\n", said, hash64(said));
}

absl::StatusOr<ShownWitness> read_shown(Disk& disk, const CheckpointLayout& layout) {
  constexpr std::string_view kNextStep =
      "restore the checkpoint from a backup, or remove this file to accept the state as it is and "
      "have its last batch shown again";
  auto text = read_file(disk, layout.shown_file(), 4096);
  if (absl::IsDataLoss(text.status())) {
    return absl::DataLossError(fmt::format("{}; {}", message_of(text.status()), kNextStep));
  }
  if (!text.ok()) return text.status();
  ShownWitness shown;
  std::array<char, 33> digest{};
  const int fields = std::sscanf(
      text->c_str(), "clicktally shown 1 epoch %" SCNd64 " batch %" SCNd64 " digest %32[0-9a-f]",
      &shown.epoch, &shown.batch, digest.data());
  const bool whole =
      fields == 3 && from_hex(digest.data(), &shown.digest) && *text == encode_shown(shown);
  if (!whole) {
    return absl::DataLossError(fmt::format("{}: damaged; {}", layout.shown_file(), kNextStep));
  }
  return shown;
}

absl::Status create_shown(Disk& disk, const CheckpointLayout& layout, const ShownWitness& shown) {
  return publish_file(disk, layout.root(), CheckpointLayout::kShownName, encode_shown(shown));
}

absl::Status write_shown(Disk& disk, const CheckpointLayout& layout, const ShownWitness& shown) {
  return disk.overwrite(layout.shown_file(), encode_shown(shown));
}

absl::StatusOr<bool> check_shown(const ShownWitness& shown, const CommitRecord& state) {
  const auto shown_at = std::tie(shown.epoch, shown.batch);
  const auto state_at = std::tie(state.epoch, state.batch);
  if (state_at > shown_at) return false;
  if (state_at < shown_at) {
    return absl::DataLossError(
        fmt::format("the state is at batch {} of epoch {}, but batch {} of epoch {} was already "
                    "shown: committed batches are missing",
                    state.batch, state.epoch, shown.batch, shown.epoch));
  }
  if (state.digest != shown.digest) {
    return absl::DataLossError(fmt::format(
        "batch {} was shown with digest {}, the state has digest {}: its counts are not those that "
        "were shown",
        state.batch, to_hex(shown.digest), to_hex(state.digest)));
  }
  return true;
}

}  // namespace clicktally
