"""From one observation to one action chunk: the policy's own, or the best of several imagined ones."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.errors import ModelError
from cosmos_policy_core.model.ensembles import SeedMode, candidate_seeds
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.candidates import propose_candidates
from cosmos_policy_core.planning.compatibility import check_world
from cosmos_policy_core.planning.presets import DEFAULT, PlannerSettings
from cosmos_policy_core.planning.scoring import Valuation
from cosmos_policy_core.planning.tree import Tree
from cosmos_policy_core.planning.valuation import value_candidates


class Completed(str, Enum):
    """How far a plan got before its time was up."""

    DIRECT = "direct"
    """The policy's own chunk; nothing was compared."""
    PARTLY_VALUED = "partly_valued"
    """Candidates were compared by the values known so far."""
    DECIDED = "decided"
    """The choice is the one that all values lead to."""


@dataclass(frozen=True)
class Plan:
    """A decision and what it rests on.

    actions: (K, A) the chosen chunk in robot units. candidates: (n, K, A). values: (n, futures, members), NaN where
    not evaluated, empty when nothing was imagined. candidate_values: (n,) aggregated known values. stages: seconds of
    wall time per stage. completed: how far it got. spent, saved: value predictions made and left out.
    network_calls: evaluations of the network, one per sample and denoising step (0: not counted). tree: the
    imagined states, when looking further ahead than one chunk. images: (cameras, S, S, 3) uint8, the chosen
    candidate's first imagined future, on request.
    """

    actions: NDArray[np.float64]
    chosen: int
    candidates: NDArray[np.float64]
    candidate_values: NDArray[np.float64]
    values: NDArray[np.float64]
    seeds: tuple[int, ...]
    stages: dict[str, float] = field(default_factory=dict)
    completed: Completed = Completed.DECIDED
    spent: int = 0
    saved: int = 0
    network_calls: int = 0
    tree: Tree | None = None
    images: NDArray[np.uint8] | None = None


class Planner(Protocol):
    """Decide what to do next."""

    def decide(self, observation: Observation, seed: int, plan: int = 0, *, budget: Budget | None = None) -> Plan:
        """Plan from an observation; the same seed and number of the plan within its task give the same plan."""
        ...


@dataclass(frozen=True)
class Direct:
    """Run the policy's own chunk: the first candidate of a plan with the same seeds.

    Args:
        steps: denoising steps; the checkpoint's default when None.
        seeds: rule of the seeds, see `candidate_seeds`; the checkpoint's habit when None.
    """

    policy: CosmosPolicy
    steps: int | None = None
    seeds: SeedMode | None = None

    def decide(self, observation: Observation, seed: int, plan: int = 0, *, budget: Budget | None = None) -> Plan:
        """Sample one chunk; there is nothing less to fall back to, so only cancelling stops it.

        Raises:
            PlanCancelled: by the budget.
        """
        budget, watch = budget or Budget(), _Watch()
        scene = self.policy.encode(observation)
        watch.lap("encode")
        seeds = candidate_seeds(seed, plan, 1, self.seeds or self.policy.config.seeds)
        proposals = propose_candidates(self.policy, scene, seeds, self.steps, budget)
        watch.lap("propose")
        return _direct(proposals, watch)


class BestOfN:
    """Propose n chunks, imagine and value each with an ensemble, run the best (paper section 4.3).

    Args:
        settings: a preset, see `presets`; the arguments before it, where given, replace its fields.

    Raises:
        ContractError: the planning checkpoint was trained for another robot, or reads other numbers.
        ConfigurationError: settings that make no sense.
    """

    def __init__(
        self,
        policy: CosmosPolicy,
        world: CosmosPolicy,
        n: int | None = None,
        futures: int | None = None,
        values: int | None = None,
        aggregate: str | None = None,
        steps: int | None = None,
        settings: PlannerSettings = DEFAULT,
    ) -> None:
        given = {"n": n, "futures": futures, "values": values, "aggregate": aggregate, "action_steps": steps}
        self.settings = dataclasses.replace(settings, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
        check_world(policy, world, self.settings)
        self.policy, self.world = policy, world

    def candidate_seeds(self, seed: int, plan: int = 0) -> tuple[int, ...]:
        """Seeds of the candidates of one plan of a task."""
        return candidate_seeds(seed, plan, self.settings.n, self.settings.seeds or self.policy.config.seeds)

    def decide(
        self, observation: Observation, seed: int, plan: int = 0, *, budget: Budget | None = None, images: bool = False
    ) -> Plan:
        """Plan once; one encode per model, whatever the number of candidates.

        Args:
            budget: time and cancellation. When time is up the best supported choice so far is returned; at worst the
                policy's own chunk, which is always made.
            images: decode the chosen candidate's first imagined future.

        Raises:
            PlanCancelled: by the budget, within one denoising step.
            ModelError: the network returned numbers that are not finite, or all candidates failed.
        """
        budget, watch, settings = budget or Budget(), _Watch(), self.settings
        scene = self.policy.encode(observation)
        imagined_scene = scene if self.world is self.policy else self.world.encode(observation)
        watch.lap("encode")
        seeds = self.candidate_seeds(seed, plan)
        proposals = propose_candidates(self.policy, scene, seeds, settings.action_steps, budget)
        watch.lap("propose")
        if len(proposals.seeds) == 1 < settings.n:
            return _direct(proposals, watch)
        valuation = value_candidates(
            self.world, imagined_scene, proposals, settings, budget, policy=self.policy, policy_text=scene.text
        )
        for stage, seconds in valuation.seconds.items():
            watch.laps[stage] = watch.laps.get(stage, 0.0) + seconds
        watch.skip()
        made = self._chosen(proposals, valuation, watch)
        if images and (made.chosen, 0) in valuation.futures:
            first = valuation.futures[made.chosen, 0][None]
            made = dataclasses.replace(made, images=self.world.decode(first, imagined_scene)[0])
            watch.lap("decode")
        return made

    def _chosen(self, proposals: Proposals, valuation: Valuation, watch: _Watch) -> Plan:
        decision = valuation.decision(self.settings.aggregate)
        complete = valuation.certain and len(proposals.seeds) == self.settings.n
        completed = Completed.DECIDED if complete else Completed.PARTLY_VALUED
        return Plan(
            actions=proposals.actions[decision.index],
            chosen=decision.index,
            candidates=proposals.actions,
            candidate_values=decision.candidate_values,
            values=valuation.values,
            seeds=proposals.seeds,
            stages=watch.laps,
            completed=completed if valuation.known.any() else Completed.DIRECT,
            spent=valuation.spent,
            saved=valuation.saved,
            network_calls=valuation.network_calls + self._proposal_calls(len(proposals.seeds)),
            tree=valuation.tree,
        )

    def _proposal_calls(self, candidates: int) -> int:
        config = self.policy.config
        steps = self.settings.action_steps or config.steps.action
        return candidates * len(config.schedule.evaluations(steps))


def _direct(proposals: Proposals, watch: _Watch) -> Plan:
    """Run the first chunk: nothing was compared."""
    if not len(proposals.actions):
        raise ModelError("there is no chunk to choose from. Ask the policy for at least one.")
    return Plan(
        actions=proposals.actions[0],
        chosen=0,
        candidates=proposals.actions,
        candidate_values=proposals.values,
        values=np.empty((len(proposals.seeds), 0, 0)),
        seeds=proposals.seeds,
        stages=watch.laps,
        completed=Completed.DIRECT,
    )


class _Watch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

    def skip(self) -> None:
        self._last = time.perf_counter()
