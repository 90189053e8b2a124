"""Demonstrations from where a policy gets: it begins, the expert takes over (DAgger, arXiv 1011.0686)."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.rollout import RolloutOptions, run_trial
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.planner import Direct


class PolicyLead:
    """The checkpoint that begins an episode, and how far it may go.

    Args:
        checkpoint: folder, or name of a shipped one.
        contract: of the simulated robot.
        chunks: fewest and most chunks that it executes; the seed draws.

    Raises:
        CosmosPolicyError: the checkpoint cannot be used with the contract.
    """

    def __init__(self, checkpoint: str, contract: Embodiment, chunks: tuple[int, int]) -> None:
        self._policy = CosmosPolicy.from_pretrained(checkpoint)
        self._policy.check(contract)
        self._executed, self._chunks = contract.executed_steps, chunks

    @property
    def identity(self) -> str:
        """Of the checkpoint."""
        return self._policy.identity

    def begin(self, cell: Any, seed: int) -> int:
        """Reset the cell and let the policy act for some chunks, fewer where it would finish the task.

        Returns:
            The control steps it acted for.

        Raises:
            ConfigurationError: the expert of this task cannot go on from there.
        """
        inside = cell.unwrapped.cell
        if not inside.task.resumes:
            raise ConfigurationError(
                f"--takeover: the expert of {inside.settings.task} begins at the start pose only. Use it with a task "
                "whose expert resumes, such as candies_in_bowl."
            )
        planner = Direct(self._policy)
        drawn = int(np.random.default_rng((seed, 3)).integers(self._chunks[0], self._chunks[1] + 1))
        for chunks in range(drawn, 0, -1):
            options = RolloutOptions(chunks * self._executed, self._executed)
            trial = run_trial(cell, planner, inside.settings.instruction, seed, options)
            if not trial.success:
                return trial.steps
        cell.reset(seed=seed)
        return 0
