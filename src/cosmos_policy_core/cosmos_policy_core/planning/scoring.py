"""Fill the value table of a set of candidates, cell by cell and only as far as the choice needs it."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.ensembles import FUTURE_STAGE, VALUE_STAGE, member_seed, member_steps
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_core.planning.rounds import Cell, cheapest_first, contested_round, next_round

ROUND = 8
"""Value predictions per round: enough to fill a GPU with the 2B model, few enough to notice early who is beaten."""


class Scoring:
    """Values of candidates as they become known.

    Attributes:
        values: (n, futures, members) in [0, 1], NaN where unknown; one future, the proposal itself, for Q(s, a).
        known: (n, futures, members).
        futures: latents (C, T, h, w) of the imagined futures, by (candidate, future).
        network_calls: evaluations of the network, one per sample and denoising step.
        seconds: wall time of imagining and of evaluating.
    """

    def __init__(
        self, world: CosmosPolicy, scene: Scene, proposals: Proposals, settings: PlannerSettings, budget: Budget
    ) -> None:
        self.world, self.scene, self.proposals = world, scene, proposals
        self.settings, self.budget = settings, budget
        self.mode = settings.seeds or world.config.seeds
        self.clean = world.world_input(scene, proposals, retile=settings.retile)
        steps = world.config.steps
        self.imagines = wants_futures(world, settings)
        self.future_steps = (
            member_steps(settings.futures, settings.future_steps or steps.future) if self.imagines else [0]
        )
        self.value_steps = member_steps(settings.values, settings.value_steps or steps.value)
        shape = (len(self.clean), len(self.future_steps), settings.values)
        self.values: NDArray[np.float64] = np.full(shape, np.nan)
        self.known: NDArray[np.bool_] = np.zeros(shape, dtype=bool)
        self.futures: dict[tuple[int, int], Tensor] = {}
        self.network_calls = 0
        self.seconds = {"imagine": 0.0, "evaluate": 0.0}
        self.order = cheapest_first(
            [self._calls(count) for count in self.future_steps], [self._calls(count) for count in self.value_steps]
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
        try:
            if not self.settings.pruning and not self.budget.limited:
                self.run_all()
            while cells := self._next_round():
                self.imagine(cells)
                self.evaluate(cells)
        except SamplingStopped:
            self.budget.check()
            return False
        return True

    def run_all(self) -> None:
        """Evaluate every cell, all of a stage together.

        Raises:
            SamplingStopped: the budget is over; nothing more is known than before.
        """
        cells = [(int(k), int(f), int(v)) for k, f, v in np.argwhere(~self.known)]
        self.imagine(cells)
        self.evaluate(cells)

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
            self.network_calls += sum(self._calls(count) for count in steps)
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
        self.network_calls += sum(self._calls(count) for count in steps)
        self.seconds["evaluate"] += time.perf_counter() - started

    def _next_round(self) -> list[Cell]:
        settings = self.settings
        if not settings.pruning:
            return next_round(self.known, np.ones(len(self.known), dtype=bool), self.order, ROUND)
        return contested_round(self.values, self.known, self.order, ROUND, settings.aggregate, settings.threshold)

    def _calls(self, steps: int) -> int:
        return len(self.world.config.schedule.evaluations(steps)) if steps else 0


def wants_futures(world: CosmosPolicy, settings: PlannerSettings) -> bool:
    """Tell whether candidates are valued by imagined futures or straight from (s, a)."""
    return world.config.value_input != "action" if settings.imagine is None else settings.imagine
