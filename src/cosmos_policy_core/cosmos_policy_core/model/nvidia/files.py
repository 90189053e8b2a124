"""Which of NVIDIA's files is which, in a folder laid out like one of their repositories."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cosmos_policy_core.checkpoints import hub
from cosmos_policy_core.embodiment import reading
from cosmos_policy_core.errors import CheckpointError

BASE_REPOSITORY = "nvidia/Cosmos-Predict2-2B-Video2World"
BASE_WEIGHTS = "model-480p-16fps.pt"
TOKENIZER = "tokenizer/tokenizer.pth"
POLICY_OF_PLANNING_MODEL = "nvidia/Cosmos-Policy-ALOHA-Predict2-2B"
OWN_STATE = "training_state.pt"


@dataclass(frozen=True)
class PublishedFiles:
    """The files of one checkpoint. The start weights have neither statistics nor instructions."""

    weights: Path
    tokenizer: Path
    statistics: Path | None
    instructions: Path | None

    @property
    def value_sees_future_only(self) -> bool:
        """Whether this is the planning model, whose value was trained on V(s'); told by its published name."""
        return "planning" in f"{self.weights.resolve().parent.name}/{self.weights.name}".lower()

    def embodiment(self) -> str | None:
        """Name the robot by the statistics file, else by the weights' name; None where neither tells."""
        for path in (self.statistics, self.weights):
            if path is None:
                continue
            for name in reading.shipped_names():
                if path.name.lower().startswith(f"{name}_") or f"-{name}-" in path.name.lower():
                    return name
        return None


def is_published(folder: Path) -> bool:
    """Whether a folder holds NVIDIA's files and not this package's."""
    try:
        ours = "format_version" in json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        ours = False
    return not ours and bool(_weights(folder))


def locate(
    source: Path,
    *,
    tokenizer: Path | None = None,
    statistics: Path | None = None,
    instructions: Path | None = None,
    base: bool = False,
    download: bool = False,
) -> PublishedFiles:
    """Find the files of a checkpoint: named ones, else beside the weights.

    Args:
        source: a model file, or a folder laid out like NVIDIA's repository.
        base: the start weights, which have neither statistics nor instructions.
        download: take what is not there from NVIDIA's repositories on the hub.

    Raises:
        CheckpointError: what is missing or ambiguous, and the option that names it.
    """
    weights = weights_of(source)
    folder = source if source.is_dir() else source.parent
    tokenizer = tokenizer or _first(folder, ("tokenizer.pth", TOKENIZER, f"../{_name(BASE_REPOSITORY)}/{TOKENIZER}"))
    if tokenizer is None and download:
        tokenizer = hub.fetch(BASE_REPOSITORY, [TOKENIZER]) / TOKENIZER
    if tokenizer is None:
        raise CheckpointError(
            f"{folder}: no tokenizer.pth. Copy tokenizer/tokenizer.pth of {BASE_REPOSITORY} into this folder, "
            "or name it with --tokenizer."
        )
    if base:
        return PublishedFiles(weights, tokenizer, statistics, instructions)
    beside = [folder]
    if "planning" in str(folder).lower():
        beside.append(folder / ".." / _name(POLICY_OF_PLANNING_MODEL))
        if download:
            beside.append(hub.fetch(POLICY_OF_PLANNING_MODEL, ["*.json", "*.pkl"]))
    return PublishedFiles(
        weights,
        tokenizer,
        statistics or _only(beside, "*dataset_statistics.json", "--statistics"),
        instructions or _only(beside, "*t5_embeddings.pkl", "--t5"),
    )


def _weights(folder: Path) -> list[Path]:
    return sorted(path for path in (*folder.glob("*.pt"), *folder.glob("model/*.pt")) if path.name != OWN_STATE)


def weights_of(source: Path) -> Path:
    """Find the model file: the source itself, or the only one in it; raises CheckpointError."""
    return source if source.is_file() else _only_weights(source)


def _only_weights(folder: Path) -> Path:
    found = _weights(folder)
    if len(found) > 1:
        found = [path for path in found if path.name == BASE_WEIGHTS] or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found)
    raise CheckpointError(
        f"{folder}: holds {f'several model files ({names})' if found else 'no model file (*.pt)'}. "
        "Give the path of one."
    )


def _only(folders: list[Path], pattern: str, option: str) -> Path:
    for folder in folders:
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise CheckpointError(f"{folder}: several files {pattern} ({names}). Name one with {option}.")
        if found:
            return found[0]
    raise CheckpointError(
        f"{folders[0]}: no {pattern}. Copy it from NVIDIA's policy repository or name it with {option}; "
        "start weights without a robot are imported with --base."
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _name(repository: str) -> str:
    return repository.rpartition("/")[2]
