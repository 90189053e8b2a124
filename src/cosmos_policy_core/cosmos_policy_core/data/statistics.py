"""Normalisation of actions and proprioception, and the statistics it rests on.

The statistics file `dataset_statistics.json` holds ten flat lists. Only minimum and maximum scale anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_policy_core.errors import StatisticsError

FILE_NAME = "dataset_statistics.json"

Vector = NDArray[np.float64]


def normalize(
    x: ArrayLike, minimum: ArrayLike, maximum: ArrayLike, *, nonnegative: bool = False, scale: float = 1.0
) -> Vector:
    """Scale the last axis from [minimum, maximum] to [-scale, scale], or [0, scale] when `nonnegative`.

    Nothing is clipped. As in the published code, a constant dimension divides by zero: NaN at the constant, else
    infinity. Use :meth:`Statistics.require_spread` before training.
    """
    low, high = np.asarray(minimum, dtype=np.float64), np.asarray(maximum, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = (np.asarray(x) - low) / (high - low)
        return np.asarray((fraction if nonnegative else 2.0 * fraction - 1.0) * scale)


def unnormalize(x: ArrayLike, minimum: ArrayLike, maximum: ArrayLike, *, scale: float = 1.0) -> Vector:
    """Invert :func:`normalize` from [-scale, scale]; a constant dimension gives its constant."""
    low, high = np.asarray(minimum, dtype=np.float64), np.asarray(maximum, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(0.5 * (np.asarray(x) / scale + 1.0) * (high - low) + low)


@dataclass(frozen=True)
class Summary:
    """Per-dimension numbers of one array; std is the population's."""

    min: NDArray[Any]
    max: NDArray[Any]
    mean: NDArray[Any]
    std: NDArray[Any]
    median: NDArray[Any]


def statistics_of(array: NDArray[Any]) -> Summary:
    """Summarise (N, D) over N, in the array's own precision."""
    return Summary(
        min=array.min(axis=0),
        max=array.max(axis=0),
        mean=array.mean(axis=0),
        std=array.std(axis=0),
        median=np.median(array, axis=0),
    )


@dataclass(frozen=True)
class Statistics:
    """The ten lists of a statistics file as float64 vectors, and the scaling they define."""

    actions_min: Vector
    actions_max: Vector
    actions_mean: Vector
    actions_std: Vector
    actions_median: Vector
    proprio_min: Vector
    proprio_max: Vector
    proprio_mean: Vector
    proprio_std: Vector
    proprio_median: Vector

    @classmethod
    def of(cls, actions: NDArray[Any], proprio: NDArray[Any]) -> Statistics:
        """Summarise (N, A) actions and (N, P) proprioception of the demonstrations."""
        values = {f"actions_{key}": value for key, value in asdict(statistics_of(actions)).items()}
        values |= {f"proprio_{key}": value for key, value in asdict(statistics_of(proprio)).items()}
        return cls(**{key: value.astype(np.float64) for key, value in values.items()})

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read a statistics file, or the one in a folder.

        Raises:
            StatisticsError: naming file and key, when it is missing, malformed, not finite or upside down.
        """
        path = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StatisticsError(
                f"{path}: no such file. Collect demonstrations, or copy the checkpoint whole."
            ) from None
        except (OSError, ValueError) as error:
            raise StatisticsError(f"{path}: is not readable JSON ({error}). Copy or compute it again.") from None
        return cls.from_dict(data, str(path))

    @classmethod
    def from_dict(cls, data: Any, where: str) -> Statistics:
        """Check and convert the content of a statistics file; `where` is named in errors."""
        if not isinstance(data, dict):
            raise StatisticsError(f"{where}: holds no keys. Give the ten lists of a statistics file.")
        vectors = {entry.name: _vector(data, entry.name, where) for entry in fields(cls)}
        for kind in ("actions", "proprio"):
            lengths = {len(vectors[f"{kind}_{name}"]) for name in ("min", "max", "mean", "std", "median")}
            if len(lengths) > 1:
                raise StatisticsError(f"{where}: the {kind}_* lists have {sorted(lengths)} entries. Compute it again.")
            if (vectors[f"{kind}_max"] < vectors[f"{kind}_min"]).any():
                raise StatisticsError(f"{where}: {kind}_max is below {kind}_min. Compute it again.")
        return cls(**vectors)

    def save(self, path: Path) -> None:
        """Write the statistics file (into a folder, or under the given name), whole or not at all."""
        path = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps({key: value.tolist() for key, value in asdict(self).items()}, indent=1) + "\n")
        os.replace(partial, path)

    def require_spread(
        self, names: Sequence[str], smallest: float = 1e-6, *, proprio_names: Sequence[str] | None = None
    ) -> None:
        """Refuse dimensions that never change: normalising them divides by zero.

        Args:
            names: of the action's entries, and of the proprioception's unless `proprio_names` are given.

        Raises:
            StatisticsError: naming the dimensions.
        """
        for kind, known in (("actions", names), ("proprio", names if proprio_names is None else proprio_names)):
            span = getattr(self, f"{kind}_max") - getattr(self, f"{kind}_min")
            constant = [known[index] for index in np.flatnonzero(span < smallest).tolist()]
            if constant:
                raise StatisticsError(
                    f"{kind}: {', '.join(constant)} never change in the demonstrations, so they cannot be normalised. "
                    f"Add demonstrations that move them, or give a --smallest-range."
                )

    def widened(self, span: float) -> Statistics:
        """Widen ranges narrower than `span` around their middle, so that constant dimensions can be normalised."""
        changed: dict[str, Vector] = {}
        for kind in ("actions", "proprio"):
            low, high = getattr(self, f"{kind}_min"), getattr(self, f"{kind}_max")
            missing = np.maximum(span - (high - low), 0.0)
            changed |= {f"{kind}_min": low - missing / 2, f"{kind}_max": high + missing / 2}
        return replace(self, **changed)

    def normalize_actions(self, actions: ArrayLike) -> Vector:
        """(..., A) robot units -> [-1, 1]."""
        return normalize(actions, self.actions_min, self.actions_max)

    def unnormalize_actions(self, actions: ArrayLike) -> Vector:
        """(..., A) [-1, 1] -> robot units."""
        return unnormalize(actions, self.actions_min, self.actions_max)

    def normalize_proprio(self, proprio: ArrayLike) -> Vector:
        """(..., P) robot units -> [-1, 1]."""
        return normalize(proprio, self.proprio_min, self.proprio_max)

    def unnormalize_proprio(self, proprio: ArrayLike) -> Vector:
        """(..., P) [-1, 1] -> robot units."""
        return unnormalize(proprio, self.proprio_min, self.proprio_max)


def _vector(data: dict[str, Any], key: str, where: str) -> Vector:
    if key not in data:
        raise StatisticsError(f"{where}: {key}: is missing. Compute the statistics again.")
    try:
        vector = np.array(data[key], dtype=np.float64)
    except (TypeError, ValueError):
        raise StatisticsError(f"{where}: {key}: is not a list of numbers. Compute the statistics again.") from None
    if vector.ndim != 1 or len(vector) == 0 or not np.isfinite(vector).all():
        raise StatisticsError(f"{where}: {key}: is not a flat list of finite numbers. Compute the statistics again.")
    return vector
