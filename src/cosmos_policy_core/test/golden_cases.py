"""Find the golden vectors: input/output pairs of the reference, grouped by the kind they say they are.

`COSMOS_POLICY_GOLDEN_DIR` points at another folder of vectors; sizes, seeds and file names may differ there.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from safetensors.torch import load_file

from cosmos_policy_core.model.layout import LatentLayout
from cosmos_policy_core.model.transformer import DiffusionTransformer, TransformerConfig
from cosmos_policy_core.model.wan import WanTokenizer

FOLDER = Path(os.environ.get("COSMOS_POLICY_GOLDEN_DIR") or Path(__file__).parent / "golden")

ROLES = {
    "libero": ("wrist", "primary"),
    "robocasa": ("wrist", "primary", "secondary"),
    "aloha": ("wrist", "wrist2", "primary"),
}
"""Roles of a suite's cameras in latent order."""


class Case:
    """One file of vectors; arrays by name, `in_*` and `out_*`."""

    def __init__(self, arrays: Mapping[str, np.ndarray], config: dict[str, Any]) -> None:
        self._arrays, self.config = arrays, config

    @classmethod
    def load(cls, path: Path) -> Case:
        arrays = np.load(path)
        return cls(arrays, json.loads(str(arrays["config_json"])))

    def changed(self, arrays: Mapping[str, np.ndarray], **config: Any) -> Case:
        """Derive a case in memory: these arrays and values of the configuration instead of the file's."""
        return Case({**self._arrays, **arrays}, {**self.config, **config})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def names(self, prefix: str) -> list[str]:
        return [name for name in self._arrays if name.startswith(prefix)]

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self._arrays[name])

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of its suite's cameras in latent order."""
        return ROLES[self.config["suite"]]


@functools.cache
def _all_cases() -> dict[str, Case]:
    return {path.stem: Case.load(path) for path in sorted(FOLDER.glob("*.npz"))}


def cases(kind: str) -> pytest.MarkDecorator:
    """Parametrise a test with every case of a kind; skipped by name where the folder has none."""
    found = [pytest.param(case, id=name) for name, case in _all_cases().items() if case.config.get("kind") == kind]
    missing = pytest.param(None, id=f"no-{kind}", marks=pytest.mark.skip(reason=f"{FOLDER}: no case of kind {kind!r}"))
    return pytest.mark.parametrize("case", found or [missing])


def manifest(constructor_argument: str) -> dict[str, Any]:
    """Return the manifest whose constructor takes the named argument, or skip."""
    for path in sorted(FOLDER.glob("*.json")):
        content = json.loads(path.read_text())
        if "entries" in content and constructor_argument in content.get("constructor_arguments", {}):
            return content
    pytest.skip(f"{FOLDER}: no manifest of a constructor with {constructor_argument!r}")


def policy_configs() -> dict[str, dict[str, Any]]:
    """Return the resolved configurations of the published runs by name; none where the folder has no such file."""
    path = FOLDER / "policy_configs.json"
    return json.loads(path.read_text()) if path.exists() else {}


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@functools.cache
def _load_network(path: Path, net: tuple[tuple[str, int], ...], rounded: bool) -> DiffusionTransformer:
    network = DiffusionTransformer(TransformerConfig(**dict(net), round_rope_exponents=rounded))
    known = network.state_dict().keys()
    weights = {name.removeprefix("net."): tensor.float() for name, tensor in load_file(path).items()}
    left_over = {name for name in weights.keys() - known if not name.startswith(("pos_embedder.", "accum_"))}
    assert not left_over, f"{path}: tensors without a place in the network: {sorted(left_over)}"
    network.load_state_dict({name: weights[name] for name in known}, strict=True)
    return network.eval().requires_grad_(False)


def network(case: Case, rounded: bool = False) -> DiffusionTransformer:
    """Load the float32 network of a case; shared between tests, don't change it.

    Args:
        case: its config names sizes and weight file.
        rounded: round the rotary exponents to bfloat16, as the deployed network does.
    """
    sizes = {key: value for key, value in case.config["net"].items() if key not in ("state_t", "num_cond")}
    return _load_network(FOLDER / case.config["state_file"], tuple(sorted(sizes.items())), rounded)


def half_network(case: Case) -> DiffusionTransformer:
    """Load the network of a case as it is deployed: bfloat16 throughout."""
    shared = network(case, rounded=True)
    half = DiffusionTransformer(shared.config)
    half.load_state_dict(shared.state_dict())
    return half.to(torch.bfloat16).eval().requires_grad_(False)


@functools.cache
def wan_tokenizer(file: str, base_dim: int) -> WanTokenizer:
    """Load a float32 Wan tokenizer; shared between tests, don't change it."""
    tokenizer = WanTokenizer(base_dim)
    tokenizer.load_state_dict({name: tensor.float() for name, tensor in load_file(FOLDER / file).items()}, strict=True)
    return tokenizer.eval().requires_grad_(False)


def layout(case: Case) -> LatentLayout:
    """Return the sequence layout of a case: five frames and two per camera."""
    return LatentLayout((case.config["net"]["state_t"] - 5) // 2)


def close(actual: ArrayLike | torch.Tensor, expected: ArrayLike, atol: float = 0.0, rtol: float = 0.0) -> None:
    """Assert equality within a tolerance; NaN and infinity must match."""
    actual = (
        actual.detach().float().numpy()
        if isinstance(actual, torch.Tensor) and actual.dtype == torch.bfloat16
        else actual
    )
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), atol=atol, rtol=rtol)


def relative_error(actual: torch.Tensor, expected: np.ndarray) -> float:
    """Return the relative L2 error."""
    difference = actual.detach().double().numpy() - expected.astype(np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))
