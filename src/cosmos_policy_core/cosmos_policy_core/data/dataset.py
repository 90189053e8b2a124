"""Episodes to training samples: the targets of every (episode, step) (paper section 4).

It deals in numbers only; images stay in their episodes until a trainer asks for the two steps it needs. Which samples
are drawn is said by `sampling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.returns import action_chunk, future_step, monte_carlo_returns
from cosmos_policy_core.data.sampling import Kind, Pools
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.errors import DatasetError


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
        self.pools = Pools.of(
            [len(episode) for episode in self.episodes],
            [index in demos for index in range(len(self.episodes))],
            [episode.success for episode in self.episodes],
            demonstrations_are_rollouts,
        )
        self._returns = [
            monte_carlo_returns(len(episode), _reward(episode, index in demos), gamma, absolute_scale)
            for index, episode in enumerate(self.episodes)
        ]

    def sample(self, kind: int, episode: int, step: int) -> Sample:
        """Assemble the numbers of one row of a sampler."""
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


def _reward(episode: Episode, is_demonstration: bool) -> float:
    return 1.0 if is_demonstration else episode.success_score
