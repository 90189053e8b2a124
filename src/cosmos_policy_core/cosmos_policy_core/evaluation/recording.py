"""Trials as episodes, so that a policy can learn from its own rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.campaign import Outcome


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
