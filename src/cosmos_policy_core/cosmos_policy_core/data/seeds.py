"""Seeds of simulated scenes: which ones policies are compared on, and which ones a checkpoint learned from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cosmos_policy_core.checkpoints import find
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError, ConfigurationError, DatasetError

EVALUATION = range(5000, 10000)  # cubes nobody may train on
LAST_WORD = range(7000, 8000)  # of those, the ones that nothing was ever chosen on
ROLLOUTS = 20_000  # from here on: scenes of rollouts to learn from

RECORD_FILE, KEY = "training.json", "scene_seeds"


def check_recorded(seeds: Iterable[int]) -> None:
    """Refuse to record rollouts of the seeds that are kept for the last word.

    Raises:
        ConfigurationError: naming the range that is free.
    """
    if any(seed in LAST_WORD for seed in seeds):
        raise ConfigurationError(
            f"--record keeps trials to learn from, and the seeds {LAST_WORD[0]}..{LAST_WORD[-1]} are for the last word "
            f"on what was learned. Use --seed {ROLLOUTS} or above."
        )


def check_learned(episodes: Sequence[Episode], contract: Embodiment) -> None:
    """Refuse to learn from the seeds that are kept for the last word.

    Raises:
        DatasetError: naming the first such episode and the range that is free.
    """
    kept = [episode for episode in _simulated(episodes, contract) if episode.seed in LAST_WORD]
    if kept:
        raise DatasetError(
            f"{kept[0].where}: is of seed {kept[0].seed}, and the seeds {LAST_WORD[0]}..{LAST_WORD[-1]} are for the "
            f"last word on what was learned ({len(kept)} such episodes). Leave them out; record rollouts with --seed "
            f"{ROLLOUTS} or above."
        )


def evaluation_sentence(seeds: Collection[int]) -> str:
    """Say that episodes of evaluation seeds are learned from; empty when there are none."""
    found = [seed for seed in seeds if seed in EVALUATION]
    if not found:
        return ""
    return (
        f"{len(found)} episodes are of the evaluation seeds {compact(found)}: an evaluation there of what learned from "
        f"them proves nothing. Record rollouts to learn from with --seed {ROLLOUTS} or above."
    )


def scene_seeds(episodes: Sequence[Episode], contract: Embodiment) -> list[int]:
    """List the seeds of simulated episodes in order, each once; other robots have none."""
    return sorted({episode.seed for episode in _simulated(episodes, contract)})


def compact(seeds: Iterable[int]) -> str:
    """Write seeds as ranges: `5000..5099, 5200`."""
    spans: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first}..{last}" for first, last in spans)


def expanded(text: str) -> set[int]:
    """Read what :func:`compact` wrote."""
    seeds: set[int] = set()
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition("..")
        seeds.update(range(int(first), int(last or first) + 1))
    return seeds


def learned_seeds(checkpoint: str | Path) -> set[int]:
    """Tell the seeds of the scenes that a checkpoint learned from; none where it does not say.

    Args:
        checkpoint: a folder, or the name of a shipped one.
    """
    try:
        record = json.loads((find(checkpoint) / RECORD_FILE).read_text())
        return expanded(record[KEY])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CheckpointError):
        return set()  # older checkpoints, those of others, and published files keep no such record


def _simulated(episodes: Sequence[Episode], contract: Embodiment) -> Sequence[Episode]:
    return episodes if contract.simulation is not None else ()
