"""From one observation to one action chunk: the policy's own, or the best of several imagined ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.best_of_n import choose


@dataclass(frozen=True)
class Plan:
    """A decision and what it rests on.

    actions: (K, A) the chosen chunk in robot units. candidates: (n, K, A). values: (n, futures, members), empty when
    nothing was imagined. candidate_values: (n,). stages: seconds of wall time per stage.
    """

    actions: NDArray[np.float64]
    chosen: int
    candidates: NDArray[np.float64]
    candidate_values: NDArray[np.float64]
    values: NDArray[np.float64]
    seeds: tuple[int, ...]
    stages: dict[str, float] = field(default_factory=dict)


class Planner(Protocol):
    """Decide what to do next."""

    def decide(self, observation: Observation, seed: int) -> Plan:
        """Plan from an observation; the same seed gives the same plan."""
        ...


def candidate_seeds(seed: int, n: int) -> tuple[int, ...]:
    """Seeds of the candidates of one plan: seed, seed + 1, ... as published."""
    return tuple(seed + index for index in range(n))


@dataclass(frozen=True)
class Direct:
    """Run the policy's own chunk. `steps`: denoising steps, the checkpoint's default when None."""

    policy: CosmosPolicy
    steps: int | None = None

    def decide(self, observation: Observation, seed: int) -> Plan:
        """Sample one chunk."""
        watch = _Watch()
        scene = self.policy.encode(observation)
        watch.lap("encode")
        proposals = self.policy.propose(scene, 1, seeds=[seed], steps=self.steps)
        watch.lap("propose")
        return Plan(
            actions=proposals.actions[0],
            chosen=0,
            candidates=proposals.actions,
            candidate_values=proposals.values,
            values=np.empty((1, 0, 0)),
            seeds=proposals.seeds,
            stages=watch.laps,
        )


@dataclass(frozen=True)
class BestOfN:
    """Propose n chunks, imagine and value each with an ensemble, run the best (paper section 4.3)."""

    policy: CosmosPolicy
    world: CosmosPolicy
    n: int = 8
    futures: int = 3
    values: int = 5
    aggregate: str = "majority_mean"
    steps: int | None = None

    def decide(self, observation: Observation, seed: int) -> Plan:
        """Plan once; one encode per model, whatever the number of candidates."""
        watch = _Watch()
        scene = self.policy.encode(observation)
        imagined_scene = scene if self.world is self.policy else self.world.encode(observation)
        watch.lap("encode")
        proposals = self.policy.propose(scene, self.n, seeds=candidate_seeds(seed, self.n), steps=self.steps)
        watch.lap("propose")
        futures = self.world.imagine(imagined_scene, proposals, self.futures)
        watch.lap("imagine")
        values = self.world.evaluate(imagined_scene, futures, self.values)
        watch.lap("evaluate")
        decision = choose(values, self.aggregate)
        return Plan(
            actions=proposals.actions[decision.index],
            chosen=decision.index,
            candidates=proposals.actions,
            candidate_values=decision.candidate_values,
            values=values,
            seeds=proposals.seeds,
            stages=watch.laps,
        )


class _Watch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
