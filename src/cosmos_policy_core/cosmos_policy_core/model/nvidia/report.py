"""What a weight file holds against what the network needs, name by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.model.checkpoint import PREFIX
from cosmos_policy_core.model.streaming import DTYPES

# Written by the reference's libraries, or derived there from constants; this network computes what it needs of them.
IGNORED = (
    r".*\._extra_state",
    r"net\.pos_embedder\.(seq|dim_spatial_range|dim_temporal_range)",
    r"net\.accum_(video_sample_counter|image_sample_counter|iteration|train_in_hours)",
)

_SHOWN = 3


@dataclass(frozen=True)
class TensorReport:
    """The outcome of comparing one file with the names and shapes of a module.

    matched: names with the right shape and a supported dtype. ignored: on the named list. unexpected: the rest.
    faults: sentences about tensors of a wrong shape, dtype or kind. dtypes: of the matched tensors.
    """

    file: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]
    unexpected: tuple[str, ...]
    faults: tuple[str, ...]
    dtypes: Mapping[str, int]
    size_problem: str | None = None

    def lines(self) -> list[str]:
        """Say it in full sentences' worth of counts, one line per class; long lists show their first names."""
        dtypes = ", ".join(f"{count} {name}" for name, count in self.dtypes.items())
        return [
            f"{self.file.name}:",
            f"  matched     {len(self.matched)}" + (f" ({dtypes})" if dtypes else ""),
            f"  missing     {_listed(self.missing)}",
            f"  wrong       {_listed(self.faults)}",
            f"  ignored     {_listed(self.ignored)}",
            f"  unexpected  {_listed(self.unexpected)}",
        ]

    def require(self) -> None:
        """Refuse a file that lacks something, or holds something this network has no place for.

        Raises:
            CheckpointError: the size of the network in the file where that is the reason, else counts and names.
        """
        foreign = tuple(name for name in self.unexpected if _belongs(name, self.matched, self.missing))
        if not (self.missing or self.faults or foreign):
            return
        if self.size_problem:
            raise CheckpointError(f"{self.file}: {self.size_problem}")
        parts = [
            f"{what} {_listed(names)}"
            for what, names in (("missing", self.missing), ("wrong", self.faults), ("unexpected", foreign))
            if names
        ]
        hint = "" if self.matched else "Not one name fits: is this another kind of file? "
        raise CheckpointError(
            f"{self.file}: {len(self.matched)} tensors fit; {'; '.join(parts)}. {hint}"
            "Take the file from NVIDIA's repository, or give the config.json of its network with --config."
        )


def compare(file: Path, expected: Mapping[str, torch.Size], found: Mapping[str, Any]) -> TensorReport:
    """Compare the content of a file with the names and shapes of a module."""
    matched, faults, dtypes = [], [], Counter[str]()
    for name in sorted(expected.keys() & found.keys()):
        fault = _fault(name, expected[name], found[name])
        if fault:
            faults.append(fault)
            continue
        matched.append(name)
        dtypes[str(found[name].dtype).removeprefix("torch.")] += 1
    others = sorted(found.keys() - expected.keys())
    ignored = [name for name in others if any(re.fullmatch(pattern, name) for pattern in IGNORED)]
    return TensorReport(
        file=file,
        matched=tuple(matched),
        missing=tuple(sorted(expected.keys() - found.keys())),
        ignored=tuple(ignored),
        unexpected=tuple(name for name in others if name not in set(ignored)),
        faults=tuple(faults),
        dtypes=dict(dtypes),
        size_problem=_size_problem(expected, found),
    )


def _fault(name: str, shape: torch.Size, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return f"{name} is a {type(value).__name__}"
    if value.shape != shape:
        return f"{name} has shape {list(value.shape)} instead of {list(shape)}"
    if value.dtype == torch.float16:
        return f"{name} is float16, whose range is too small for this network; the published files are bfloat16"
    if value.dtype not in DTYPES:
        return f"{name} is {str(value.dtype).removeprefix('torch.')} instead of bfloat16 or float32"
    return None


def _belongs(name: str, matched: tuple[str, ...], missing: tuple[str, ...]) -> bool:
    """Whether an unexpected tensor is part of the network: leaving it out would change the numbers."""
    of_network = any(known.startswith(PREFIX) for known in (*matched[:1], *missing[:1]))
    return name.startswith(PREFIX) or not of_network


def _size_problem(expected: Mapping[str, torch.Size], found: Mapping[str, Any]) -> str | None:
    """Name the network's size where it is another one."""
    wanted, given = _size(expected), _size({name: value.shape for name, value in found.items() if _is_tensor(value)})
    if wanted is None or given is None or wanted == given:
        return None
    return (
        f"a network of {given[0]} blocks and width {given[1]}; this import is for {wanted[0]} blocks and width "
        f"{wanted[1]}. Take the 2B file, or give the config.json of this network with --config."
    )


def _size(shapes: Mapping[str, torch.Size]) -> tuple[int, int] | None:
    """(blocks, width) of a transformer by its names and shapes."""
    embedder = shapes.get(f"{PREFIX}x_embedder.proj.1.weight")
    blocks = {match[1] for name in shapes if (match := re.match(rf"{re.escape(PREFIX)}blocks\.(\d+)\.", name))}
    return (len(blocks), embedder[0]) if embedder and blocks else None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _listed(names: tuple[str, ...]) -> str:
    if not names:
        return "0"
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{more})"
