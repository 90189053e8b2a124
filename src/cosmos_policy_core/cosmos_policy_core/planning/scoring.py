"""Fill the value table of a set of candidates, cell by cell and only as far as the choice needs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.ensembles import FUTURE_STAGE, VALUE_STAGE, member_seed, member_steps
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.planning.best_of_n import Decision, choose_so_far
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.presets import PlannerSettings, calibrated_threshold
from cosmos_policy_core.planning.rounds import Cell, cheapest_first, contested_round, next_round

if TYPE_CHECKING:
    from cosmos_policy_core.planning.tree import Tree

ROUND = 8
"""Value predictions per round: enough to fill a GPU with the 2B model, few enough to notice early who is beaten."""


@dataclass(frozen=True)
class Valuation:
    """What is known of the candidates' values, and how far that goes.

    values: (n, futures, members) in [0, 1], NaN where not evaluated; leaves of the tree instead of futures when looking
    further ahead; one future, the proposal itself, for Q(s, a). known: of the same shape. certain: the choice is the
    one that all values lead to. threshold: above which a value counts as a success. spent, saved: predictions made and
    left out. calls, seconds: per stage, evaluations of the network (one per sample and denoising step) and wall time.
    futures: latents (C, T, h, w) after the first chunk, by (candidate, future).
    """

    values: NDArray[np.float64]
    known: NDArray[np.bool_]
    certain: bool
    threshold: float
    spent: int
    saved: int
    calls: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    futures: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    tree: Tree | None = None

    @property
    def network_calls(self) -> int:
        """Evaluations of the network in all."""
        return sum(self.calls.values())

    def decision(self, scheme: str) -> Decision:
        """Choose with what is known.

        Raises:
            ModelError: every candidate failed, or a value lies outside [0, 1].
        """
        return choose_so_far(self.values, self.known, scheme, self.threshold)


class Scoring:
    """Values of chunks as they become known.

    Chunks of one candidate stand side by side, `per_candidate` of them: one, or all that continue it in a search.

    Attributes:
        values: (chunks, futures, members) in [0, 1], NaN where unknown.
        known: (chunks, futures, members).
        futures: latents (C, T, h, w) of the imagined futures, by (chunk, future).
        calls, seconds: evaluations of the network and wall time, of imagining and of evaluating.
    """

    def __init__(
        self,
        world: CosmosPolicy,
        scene: Scene,
        proposals: Proposals,
        settings: PlannerSettings,
        budget: Budget,
        *,
        per_candidate: int = 1,
        finish_best: bool = False,
    ) -> None:
        self.world, self.scene, self.proposals = world, scene, proposals
        self.settings, self.budget = settings, budget
        self.per_candidate, self.finish_best = per_candidate, finish_best
        self.threshold = threshold_for(world, settings)
        self.mode = settings.seeds or world.config.seeds
        self.clean = world.world_input(scene, proposals, retile=settings.retile)
        steps = world.config.steps
        self.imagines = wants_futures(world, settings)
        future_steps = member_steps(settings.futures, settings.future_steps or steps.future)
        self.future_steps = future_steps[: settings.valued_futures] if self.imagines else [0]
        self.value_steps = member_steps(settings.values, settings.value_steps or steps.value)
        shape = (len(self.clean), len(self.future_steps), settings.values)
        self.values: NDArray[np.float64] = np.full(shape, np.nan)
        self.known: NDArray[np.bool_] = np.zeros(shape, dtype=bool)
        self.futures: dict[tuple[int, int], Tensor] = {}
        self.calls = {"imagine": 0, "evaluate": 0}
        self.seconds = {"imagine": 0.0, "evaluate": 0.0}
        self.order = cheapest_first(
            [self._calls(count) for count in self.future_steps] * per_candidate,
            [self._calls(count) for count in self.value_steps],
        )

    def valuation(self, certain: bool) -> Valuation:
        """Sum up."""
        return Valuation(
            values=self._by_candidate(self.values),
            known=self._by_candidate(self.known),
            certain=certain,
            threshold=self.threshold,
            spent=self.spent,
            saved=self.saved,
            calls=dict(self.calls),
            seconds=dict(self.seconds),
            futures=self.futures,
        )

    @property
    def spent(self) -> int:
        """Value predictions made."""
        return int(self.known.sum())

    @property
    def saved(self) -> int:
        """Value predictions not made."""
        return int((~self.known).sum())

    def run(self) -> bool:
        """Evaluate until the choice is certain or the budget is spent.

        Returns:
            Whether the choice is certain.

        Raises:
            PlanCancelled: by the budget.
            ModelError: the network returned numbers that are not finite.
        """
        return self._fill(self._contested) if self.settings.pruning else self.run_all()

    def run_all(self) -> bool:
        """Evaluate every cell, all of a stage together where no time can run out, until the budget is spent.

        Returns:
            Whether every cell is known. Errors as in `run`.
        """
        return self._fill(self._unknown)

    def imagine(self, cells: list[Cell]) -> None:
        """Sample the futures that these cells need and that are not there yet."""
        started = time.perf_counter()
        wanted = list(dict.fromkeys((candidate, future) for candidate, future, _ in cells))
        wanted = [pair for pair in wanted if pair not in self.futures]
        if not self.imagines:
            self.futures.update({pair: self.clean[pair[0]] for pair in wanted})
        elif wanted:
            seeds = [member_seed(self.proposals.seeds[k], FUTURE_STAGE, f, 0, self.mode) for k, f in wanted]
            steps = [self.future_steps[f] for _, f in wanted]
            clean = self.clean[[k for k, _ in wanted]]
            sampled = self.world.sample(Query.WORLD, clean, self.scene.text, seeds, steps, self.budget.is_over)
            self.futures.update(zip(wanted, sampled, strict=True))
            self.calls["imagine"] += sum(self._calls(count) for count in steps)
        self.seconds["imagine"] += time.perf_counter() - started

    def evaluate(self, cells: list[Cell]) -> None:
        """Predict the values of cells whose futures are there."""
        started = time.perf_counter()
        seeds = [member_seed(self.proposals.seeds[k], VALUE_STAGE, f, v, self.mode) for k, f, v in cells]
        steps = [self.value_steps[v] for _, _, v in cells]
        clean = torch.stack([self.futures[k, f] for k, f, _ in cells])
        query = self.world.config.value_query
        sampled = self.world.sample(query, clean, self.scene.text, seeds, steps, self.budget.is_over)
        for cell, value in zip(cells, self.world.values_of(sampled), strict=True):
            self.values[cell], self.known[cell] = value, True
        self.calls["evaluate"] += sum(self._calls(count) for count in steps)
        self.seconds["evaluate"] += time.perf_counter() - started

    def _fill(self, next_cells: Callable[[], list[Cell]]) -> bool:
        """Evaluate round after round; tell whether the last one was reached before the budget was over."""
        try:
            while cells := self._by_chunk(next_cells()):
                self.imagine(cells)
                self.evaluate(cells)
        except SamplingStopped:
            self.budget.check()
            return False
        return True

    def _unknown(self) -> list[Cell]:
        known = self._by_candidate(self.known)
        size = ROUND if self.budget.limited else known.size
        return next_round(known, np.ones(len(known), dtype=bool), self.order, size)

    def _contested(self) -> list[Cell]:
        values, known, scheme = self._by_candidate(self.values), self._by_candidate(self.known), self.settings.aggregate
        return contested_round(values, known, self.order, ROUND, scheme, self.threshold, self.finish_best)

    def _by_chunk(self, cells: list[Cell]) -> list[Cell]:
        """(candidate, leaf, member) -> (chunk, future, member)."""
        per_chunk = len(self.future_steps)
        return [(k * self.per_candidate + leaf // per_chunk, leaf % per_chunk, member) for k, leaf, member in cells]

    def _by_candidate(self, table: NDArray[Any]) -> NDArray[Any]:
        """(chunks, futures, members) -> (candidates, leaves, members), a view."""
        return table.reshape(-1, self.per_candidate * len(self.future_steps), self.settings.values)

    def _calls(self, steps: int) -> int:
        return len(self.world.config.schedule.evaluations(steps)) if steps else 0


def wants_futures(world: CosmosPolicy, settings: PlannerSettings) -> bool:
    """Tell whether candidates are valued by imagined futures or straight from (s, a)."""
    return world.config.value_input != "action" if settings.imagine is None else settings.imagine


def threshold_for(world: CosmosPolicy, settings: PlannerSettings) -> float:
    """Value above which a prediction of this checkpoint counts as a success."""
    if settings.threshold is not None:
        return settings.threshold
    return calibrated_threshold(world.config.gamma, world.config.episode_steps)
