"""Episodes to training samples: which (episode, step) pairs an epoch holds, and the targets of each (paper section 4).

This is the published sampler with its randomness passed in. It deals in numbers and indices only; images stay in
their episodes until a trainer asks for the two steps it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.returns import action_chunk, epoch_structure, future_step, monte_carlo_returns
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.errors import DatasetError


class Kind(IntEnum):
    """What a sample teaches: p(a, s', V | s), p(s', V | s, a) or V(s')."""

    POLICY = 0
    WORLD = 1
    VALUE = 2


@dataclass(frozen=True)
class Mix:
    """Shares of an epoch: `demonstrations` of all samples, `successes` of the rollout samples."""

    demonstrations: float
    successes: float


POLICY_MIX = Mix(0.5, 0.5)  # 50 % policy, 25 % world model, 25 % value
PLANNING_MIX = Mix(0.1, 0.5)  # 10 / 45 / 45, for the model that imagines and values


@dataclass(frozen=True)
class Sample:
    """One training sample; numbers are float32, normalised to about [-1, 1].

    Images are `episodes[episode].image(camera, step)` now and `...(camera, future)` after the chunk.
    """

    kind: Kind
    episode: int
    step: int
    future: int
    actions: NDArray[np.float32]  # (K, A)
    proprio: NDArray[np.float32]  # (P,)
    future_proprio: NDArray[np.float32]  # (P,)
    value: float  # return of the future state
    instruction: str


class EpisodeDataset:
    """Demonstrations and rollouts under common statistics.

    Args:
        demonstrations: episodes whose actions are worth imitating.
        rollouts: episodes of any outcome, for world-model and value samples; their `success` picks the pool.
        statistics: of the demonstrations.
        horizon: K, actions in a chunk.
        gamma: discount per step of the value label.
        demonstrations_are_rollouts: also draw world-model and value samples from the demonstrations.
        absolute_scale: keep the scale of partial success scores; False is the published labelling.

    Raises:
        DatasetError: no episodes at all.
        StatisticsError: a dimension that never changes.
    """

    def __init__(
        self,
        demonstrations: Sequence[Episode],
        rollouts: Sequence[Episode],
        statistics: Statistics,
        horizon: int,
        gamma: float = 0.998,
        *,
        demonstrations_are_rollouts: bool = True,
        absolute_scale: bool = False,
    ) -> None:
        if not demonstrations and not rollouts:
            raise DatasetError("no episodes. Collect some with `cosmos-policy collect-demos --out FOLDER`.")
        widest = max(len(statistics.actions_min), len(statistics.proprio_min))
        statistics.require_spread([f"dimension {index}" for index in range(widest)])
        self.episodes: list[Episode] = [*demonstrations, *rollouts]
        self.horizon, self.statistics = horizon, statistics
        demos = range(len(demonstrations))
        others = range(len(demonstrations), len(self.episodes))
        successes = [index for index in others if self.episodes[index].success]
        if demonstrations_are_rollouts:
            successes = [*demos, *successes]
        self.demonstrations = self._steps(demos)
        self.successes = self._steps(successes)
        self.failures = self._steps([index for index in others if not self.episodes[index].success])
        self._returns = [
            monte_carlo_returns(len(episode), _reward(episode, index in demos), gamma, absolute_scale)
            for index, episode in enumerate(self.episodes)
        ]

    def epoch(
        self, rng: np.random.Generator, p_demo: float = 0.5, p_success: float = 0.5, *, stratified: bool = False
    ) -> NDArray[np.int64]:
        """Draw one shuffled epoch.

        Args:
            rng: draws the order, and for every rollout sample whether it teaches the world model or the value.
            p_demo: share of policy samples.
            p_success: share of successful rollouts among the others.
            stratified: hold the shares in every batch, give or take one sample, and halve the rollout samples exactly;
                False is the published sampler, where they hold only in expectation.

        Returns:
            (N, 3) rows of kind, episode, step.
        """
        sizes = (len(self.demonstrations), len(self.successes), len(self.failures))
        wanted = epoch_structure(*sizes, p_demo, p_success)
        parts: list[NDArray[Any]] = []
        for pool, count in zip((self.demonstrations, self.successes, self.failures), wanted[:3], strict=True):
            chosen = pool[np.arange(count) % max(len(pool), 1)]
            if pool is self.demonstrations:
                kinds = np.full(count, Kind.POLICY)
            elif stratified:
                kinds = rng.permutation(np.resize([Kind.WORLD, Kind.VALUE], count))
            else:
                kinds = np.where(rng.random(count) < 0.5, Kind.WORLD, Kind.VALUE)
            rows = np.column_stack([kinds, chosen]).astype(np.int64)
            parts += [rows[rows[:, 0] == kind] for kind in Kind] if stratified else [rows]
        return _interleaved(parts, rng) if stratified else rng.permutation(np.concatenate(parts))

    def sample(self, kind: int, episode: int, step: int) -> Sample:
        """Assemble the numbers of one row of an epoch."""
        source = self.episodes[episode]
        future = future_step(step, self.horizon, len(source))
        chunk = action_chunk(source.actions, step, self.horizon)
        now, later = self.statistics.normalize_proprio(source.proprio[[step, future]]).astype(np.float32)
        return Sample(
            kind=Kind(kind),
            episode=episode,
            step=step,
            future=future,
            actions=self.statistics.normalize_actions(chunk).astype(np.float32),
            proprio=now,
            future_proprio=later,
            value=float(self._returns[episode][future]),
            instruction=source.instruction,
        )

    def _steps(self, episodes: Sequence[int]) -> NDArray[Any]:
        """List every (episode, step) of some episodes: (N, 2)."""
        rows = [(episode, step) for episode in episodes for step in range(len(self.episodes[episode]))]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)


def _interleaved(parts: Sequence[NDArray[np.int64]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Shuffle each part, then spread all evenly over the epoch, so that any stretch of it has the same shares."""
    places = [(np.arange(len(part)) + rng.random()) / len(part) for part in parts if len(part)]
    shuffled = [rng.permutation(part) for part in parts if len(part)]
    return np.concatenate(shuffled)[np.argsort(np.concatenate(places), kind="stable")]


def _reward(episode: Episode, is_demonstration: bool) -> float:
    return 1.0 if is_demonstration else episode.success_score
