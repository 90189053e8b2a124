"""Trials as episodes, so that a policy can learn from its own rollouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import fields, jpeg
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.hdf5 import episode_path
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.evaluation.campaign import Campaign, Outcome


class TrialRecorder:
    """Keeps what the cell showed before every action, in the layout of published rollouts.

    Args:
        contract: of the robot; its cameras and its JPEG quality.
    """

    def __init__(self, contract: Embodiment) -> None:
        self._quality = contract.images.jpeg_quality or 95
        self._actions: list[NDArray[np.float64]] = []
        self._proprio: list[NDArray[np.float64]] = []
        self._jpegs: dict[str, list[bytes]] = {name: [] for name in contract.camera_names}

    def before_step(self, cell: Any, action: NDArray[np.float64]) -> None:
        """Keep one step: what is seen now, and what is done about it."""
        seen = cell.observe(images=True)
        self._actions.append(np.asarray(action))
        self._proprio.append(seen["proprio"])
        for name, frames in self._jpegs.items():
            frames.append(jpeg.encode(seen["images"][name], self._quality))

    def finish(self, cell: Any) -> None:
        """Keep the last state as well, with the last action: what all of it led to."""
        if self._actions:
            self.before_step(cell, self._actions[-1])

    def episode(self, instruction: str, outcome: Outcome, extra: Mapping[str, str]) -> Episode:
        """Return the episode; `extra` are further attributes of its file."""
        return Episode(
            actions=np.asarray(self._actions, dtype=np.float32),
            proprio=np.asarray(self._proprio, dtype=np.float32),
            jpegs=self._jpegs,
            instruction=instruction,
            success=outcome.success,
            success_score=outcome.success_score,
            seed=outcome.seed,
            extra={**extra, "stage": outcome.best_stage},
        )


def domain_text(campaign: Campaign) -> str:
    """Say in what the scenes of a campaign differ from the task's own; empty for nothing."""
    return json.dumps(campaign.changes) if campaign.changes else ""


def recorded(folder: Path, seeds: Iterable[int], campaign: Campaign) -> set[int]:
    """Tell which seeds of a campaign have their episode in a folder.

    Args:
        campaign: with the identities of its checkpoints.

    Raises:
        EpisodeError: an episode of one of these seeds is of another campaign, and would be replaced; or not readable.
    """
    expected = {
        "policy_name": campaign.policy_identity,
        "planner": campaign.planner,
        "planning_name": campaign.planning_identity,
        "task": campaign.task,
        "domain": domain_text(campaign),
    }
    found = set()
    for seed in seeds:
        path = episode_path(folder, seed)
        if not path.exists():
            continue
        with fields.opened(path) as file:
            held = {name: fields.text(file, name, path) for name in expected}
        held["task"] = held["task"] or campaign.task  # older recordings do not say it
        differing = [
            f"{name} is '{held[name]}', not '{expected[name]}'" for name in expected if held[name] != expected[name]
        ]
        if differing:
            raise EpisodeError(
                f"{path}: is a rollout of another evaluation: {'; '.join(differing)}. Give --record another folder."
            )
        found.add(seed)
    return found
