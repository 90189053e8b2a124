"""Which samples a training step sees: one question, two policies (paper section 4).

A sampler answers, for a step and a batch size, with rows of (kind, episode, step); the same question always gets the
same answer, so a run that is killed and resumed, or spread over more processes, sees the same samples. `published`
walks through shuffled epochs in which the shares hold in expectation; `stratified` draws every batch with fixed counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.returns import epoch_structure
from cosmos_policy_core.errors import DatasetError

Rows = NDArray[np.int64]
"""(N, 3): kind, episode, step."""

SamplingPolicy = Literal["published", "stratified"]


class Kind(IntEnum):
    """What a sample teaches: p(a, s', V | s), p(s', V | s, a) or V(s')."""

    POLICY = 0
    WORLD = 1
    VALUE = 2


@dataclass(frozen=True)
class Mix:
    """What a batch is made of.

    demonstrations: share of policy samples; world-model and value samples halve the rest.
    successes: share of successful rollouts among those, where there are failures as well.
    demonstrations_are_rollouts: whether world-model and value samples are drawn from demonstrations, too.
    query_share: of the policy samples, drawn within `query_jitter` steps of a step at which the robot asks
        (stratified only).
    """

    demonstrations: float
    successes: float
    demonstrations_are_rollouts: bool = True
    query_share: float = 0.0
    query_jitter: int = 3


NANO_MIX = Mix(0.6, 0.6, query_share=0.3)  # of the shipped checkpoint: 60 % policy, 20 % world model, 20 % value
POLICY_MIX = Mix(0.5, 0.5)  # published: 50 / 25 / 25
PLANNING_MIX = Mix(0.1, 0.5, demonstrations_are_rollouts=False)  # published: 10 / 45 / 45
MIXES = {"nano": NANO_MIX, "policy": POLICY_MIX, "planning": PLANNING_MIX}


@dataclass(frozen=True)
class Pools:
    """Every (episode, step) by what it may teach, (N, 2) each; `lengths` are the episodes' steps."""

    demonstrations: Rows
    successes: Rows
    failures: Rows
    lengths: tuple[int, ...]

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        demonstration: Sequence[bool],
        success: Sequence[bool],
        demonstrations_are_rollouts: bool,
    ) -> Pools:
        """Sort episodes into pools by where they come from and how they ended."""
        everything = range(len(lengths))
        demos = [index for index in everything if demonstration[index]]
        successes = [index for index in everything if success[index] and not demonstration[index]]
        if demonstrations_are_rollouts:
            successes = [*demos, *successes]
        failures = [index for index in everything if not success[index] and not demonstration[index]]
        pools = [_steps(part, lengths) for part in (demos, successes, failures)]
        return cls(pools[0], pools[1], pools[2], tuple(lengths))

    def served(self, mix: Mix) -> Mix:
        """Leave out of a mix what these pools have nothing for: policy samples, or world-model and value samples."""
        if not len(self.demonstrations):
            return replace(mix, demonstrations=0.0)
        return mix if len(self.successes) or len(self.failures) else replace(mix, demonstrations=1.0)

    def require(self, mix: Mix) -> None:
        """Refuse a mix that these pools cannot serve.

        Raises:
            DatasetError: what is missing, and the remedy.
        """
        if mix.demonstrations > 0 and not len(self.demonstrations):
            raise DatasetError("no successful episode to learn a policy from. Collect demonstrations first.")
        if mix.demonstrations < 1 and not len(self.successes) and not len(self.failures):
            raise DatasetError(
                "no rollout to learn world model and value from, and this mix keeps demonstrations out of them. "
                "Give rollouts with --rollouts, or choose the policy mix."
            )


class Sampler(Protocol):
    """Says what a training step sees."""

    def rows(self, step: int, size: int) -> Rows:
        """Return the `size` rows of the batch of a step."""
        ...

    def substitute(self, kind: int, rng: np.random.Generator) -> tuple[int, int]:
        """Draw another (episode, step) for a sample that turned out to be unreadable."""
        ...


class PublishedSampler:
    """Walk through shuffled epochs; the incomplete batch at an epoch's end is dropped."""

    def __init__(self, pools: Pools, mix: Mix, seed: int) -> None:
        pools.require(mix)
        self.pools, self.mix, self.seed = pools, mix, seed
        self._epoch: tuple[int, Rows] | None = None

    def rows(self, step: int, size: int) -> Rows:
        """See `Sampler.rows`.

        Raises:
            DatasetError: a batch is larger than an epoch.
        """
        per_epoch = self._length() // size
        if per_epoch == 0:
            raise DatasetError(f"a batch of {size} is larger than an epoch of {self._length()} samples. Collect more.")
        number, place = divmod(step, per_epoch)
        if self._epoch is None or self._epoch[0] != number:
            self._epoch = (number, epoch(self.pools, self.mix, np.random.default_rng([self.seed, number])))
        return self._epoch[1][place * size : (place + 1) * size]

    def substitute(self, kind: int, rng: np.random.Generator) -> tuple[int, int]:
        """See `Sampler.substitute`."""
        return _draw(self.pools, self.mix, kind, rng)

    def _length(self) -> int:
        return epoch_structure(*_sizes(self.pools), self.mix.demonstrations, self.mix.successes).length


class StratifiedSampler:
    """Draw every batch with the same counts, rounded.

    Args:
        query_every: steps between two questions of the robot, for the mix's `query_share`.
    """

    def __init__(self, pools: Pools, mix: Mix, seed: int, query_every: int = 1) -> None:
        pools.require(mix)
        self.pools, self.mix, self.seed, self.query_every = pools, mix, seed, query_every

    def rows(self, step: int, size: int) -> Rows:
        """See `Sampler.rows`."""
        rng = np.random.default_rng([self.seed, step])
        policy = round(size * self.mix.demonstrations)
        world = round((size - policy) / 2)
        kinds = [Kind.POLICY] * policy + [Kind.WORLD] * world + [Kind.VALUE] * (size - policy - world)
        return np.array([(kind, *self.substitute(kind, rng)) for kind in kinds], dtype=np.int64)

    def substitute(self, kind: int, rng: np.random.Generator) -> tuple[int, int]:
        """See `Sampler.substitute`."""
        episode, step = _draw(self.pools, self.mix, kind, rng)
        if kind == Kind.POLICY and rng.random() < self.mix.query_share:
            length, jitter = self.pools.lengths[episode], self.mix.query_jitter
            asked = int(rng.choice(np.arange(0, length, self.query_every)))
            step = min(max(asked + int(rng.integers(-jitter, jitter + 1)), 0), length - 1)
        return episode, step


def make_sampler(policy: SamplingPolicy, pools: Pools, mix: Mix, seed: int, query_every: int = 1) -> Sampler:
    """Make the sampler of a policy."""
    if policy == "published":
        return PublishedSampler(pools, mix, seed)
    return StratifiedSampler(pools, mix, seed, query_every)


def epoch(pools: Pools, mix: Mix, rng: np.random.Generator) -> Rows:
    """Draw one shuffled epoch of the published sampler; chance says which rollout samples teach the value."""
    wanted = epoch_structure(*_sizes(pools), mix.demonstrations, mix.successes)
    parts = []
    for pool, count in zip((pools.demonstrations, pools.successes, pools.failures), wanted[:3], strict=True):
        chosen = pool[np.arange(count) % max(len(pool), 1)]
        if pool is pools.demonstrations:
            kinds = np.full(count, Kind.POLICY)
        else:
            kinds = np.where(rng.random(count) < 0.5, Kind.WORLD, Kind.VALUE)
        parts.append(np.column_stack([kinds, chosen]).astype(np.int64))
    return rng.permutation(np.concatenate(parts))


def _draw(pools: Pools, mix: Mix, kind: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw an (episode, step) that may teach a kind, every step of its pool alike."""
    if kind == Kind.POLICY:
        pool = pools.demonstrations
    elif not len(pools.failures) or not len(pools.successes):
        pool = pools.successes if len(pools.successes) else pools.failures
    else:
        pool = pools.successes if rng.random() < mix.successes else pools.failures
    episode, step = pool[rng.integers(len(pool))].tolist()
    return episode, step


def _sizes(pools: Pools) -> tuple[int, int, int]:
    return len(pools.demonstrations), len(pools.successes), len(pools.failures)


def _steps(episodes: Sequence[int], lengths: Sequence[int]) -> Rows:
    rows = [(episode, step) for episode in episodes for step in range(lengths[episode])]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
