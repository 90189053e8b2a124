"""Look further ahead than one chunk: the policy proposes from states that the world model imagined."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.ensembles import SeedMode, member_seed
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.model.transformer import TextContext
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_core.planning.scoring import Scoring, Valuation, threshold_for

PROPOSAL_STAGE = 3
"""Stream of the proposals made from imagined states, beside those of futures and values."""


@dataclass(frozen=True)
class Node:
    """One imagined state: what was done before it, what it looks like to the arms, what it is worth.

    candidate: chunk of the present that the path starts with. parent: index of the state before; None at depth 1.
    actions: (K, A) the chunk that leads here, robot units. proprio: (P,) predicted proprioception, robot units.
    values: (members,) in [0, 1], NaN where not evaluated.
    """

    candidate: int
    depth: int
    parent: int | None
    future: int
    actions: NDArray[np.float64]
    proprio: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """Every imagined state of a search, parents before children."""

    nodes: tuple[Node, ...] = ()

    def level(self, depth: int) -> list[int]:
        """Indices of the nodes of a depth, candidates first, then futures in order."""
        return [index for index, node in enumerate(self.nodes) if node.depth == depth]

    def path(self, index: int) -> list[Node]:
        """The states from the first chunk to this one."""
        node = self.nodes[index]
        return [*([] if node.parent is None else self.path(node.parent)), node]

    def values(self, candidates: int, depth: int, average: bool) -> NDArray[np.float64]:
        """Values (candidates, leaves, members) of the paths that end at a depth.

        Every leaf counts: the candidate's score rests on all of its branches. With `average` a path is worth the mean
        over its states, else what its last state is worth.
        """
        rows: list[list[NDArray[np.float64]]] = [[] for _ in range(candidates)]
        for index in self.level(depth):
            states = self.path(index) if average else [self.nodes[index]]
            rows[self.nodes[index].candidate].append(np.mean([state.values for state in states], axis=0))
        return np.array(rows)

    def grown(self, nodes: list[Node]) -> Tree:
        return Tree((*self.nodes, *nodes))


def search(
    policy: CosmosPolicy,
    world: CosmosPolicy,
    scene: Scene,
    proposals: Proposals,
    settings: PlannerSettings,
    budget: Budget,
    *,
    policy_text: TextContext | None = None,
    finish_best: bool = False,
) -> Valuation:
    """Grow the tree depth by depth; of one that the budget cuts off only the first is kept, as far as it is known.

    Each state of a depth gets one chunk from the policy, and each chunk `settings.valued_futures` states. All states
    of a depth are asked together. Leaves that cannot change the choice are neither imagined nor valued, where the
    choice rests on leaves alone (`depth_values` last).

    Args:
        scene: the present as the world model encodes it.
        policy_text: the instruction as the policy encodes it, when that is another checkpoint.
        finish_best: value the best candidate to its end, see `contested_round`.

    Raises:
        PlanCancelled: by the budget.
    """
    search = _Search(policy, world, scene, proposals, settings, budget, policy_text or scene.text, finish_best)
    try:
        depth = 1
        while search.descend(depth) and depth < settings.depth:
            depth += 1
    except SamplingStopped:
        budget.check()
    return search.valuation()


class _Search:
    """A tree under growth, and the frontier from which it goes on."""

    def __init__(
        self,
        policy: CosmosPolicy,
        world: CosmosPolicy,
        scene: Scene,
        proposals: Proposals,
        settings: PlannerSettings,
        budget: Budget,
        text: TextContext,
        finish_best: bool,
    ) -> None:
        self.policy, self.world, self.text = policy, world, text
        self.scene, self.proposals = scene, proposals
        self.settings, self.budget, self.finish_best = settings, budget, finish_best
        self.roots = proposals.seeds
        self.parents: list[int | None] = [None] * len(self.roots)
        self.tree = Tree()
        self.levels: list[Scoring] = []
        self.seconds = {"propose": 0.0}
        self.calls = {"propose": 0}

    def descend(self, depth: int) -> bool:
        """Value the chunks of a depth and, before the last, propose the next ones from their states.

        Returns:
            Whether the depth was completed. What is known of one that the budget cut off is kept where no other depth
            says more.

        Raises:
            SamplingStopped: the budget is over while the next chunks are proposed.
        """
        last, settings = depth == self.settings.depth, self.settings
        scoring = Scoring(
            self.world,
            self.scene,
            self.proposals,
            settings,
            self.budget,
            per_candidate=len(self.parents) // len(self.roots),
            finish_best=self.finish_best,
        )
        complete = scoring.run() if last and settings.depth_values == "last" else scoring.run_all()
        if not complete and (self.levels or not scoring.spent):
            return False
        first = len(self.tree.nodes)
        self.tree = self.tree.grown(_nodes(scoring, depth, self.parents))
        self.levels.append(scoring)
        if complete and not last:
            self._propose(scoring, depth, first)
        return complete

    def _propose(self, scoring: Scoring, depth: int, first: int) -> None:
        began, settings = time.perf_counter(), self.settings
        per_chunk = scoring.values.shape[1]
        self.parents = list(range(first, len(self.tree.nodes)))
        self.scene = self.world.advance(_states(scoring), self.scene)
        seeds = _seeds(self.proposals.seeds, per_chunk, depth, settings.seeds or self.policy.config.seeds)
        present = Scene(self.scene.clean, self.text)
        self.proposals = self.policy.propose(present, len(seeds), seeds, settings.action_steps, self.budget.is_over)
        calls = self.policy.config.schedule.evaluations(settings.action_steps or self.policy.config.steps.action)
        self.calls["propose"] += len(seeds) * len(calls)
        self.seconds["propose"] += time.perf_counter() - began

    def valuation(self) -> Valuation:
        """Sum up the deepest level that was kept; nothing is known before the first."""
        settings = self.settings
        if not self.levels:
            unknown = (len(self.roots), settings.valued_futures, settings.values)
            threshold = threshold_for(self.world, settings)
            return Valuation(np.full(unknown, np.nan), np.zeros(unknown, dtype=bool), False, threshold, 0, 0)
        reached, deepest = len(self.levels), self.levels[-1].valuation(len(self.levels) == settings.depth)
        if settings.depth_values == "average" and reached > 1:
            values = self.tree.values(len(self.roots), reached, average=True)
            deepest = dataclasses.replace(deepest, values=values)
        stages = ("imagine", "evaluate")
        return dataclasses.replace(
            deepest,
            spent=sum(level.spent for level in self.levels),
            calls=self.calls | {stage: sum(level.calls[stage] for level in self.levels) for stage in stages},
            seconds=self.seconds | {stage: sum(level.seconds[stage] for level in self.levels) for stage in stages},
            futures=self.levels[0].futures,
            tree=self.tree,
        )


def _nodes(scoring: Scoring, depth: int, parents: Sequence[int | None]) -> list[Node]:
    """States that were imagined, chunk by chunk."""
    proprio = scoring.world.proprio_of(_states(scoring))
    return [
        Node(
            candidate=chunk // scoring.per_candidate,
            depth=depth,
            parent=parents[chunk],
            future=future,
            actions=scoring.proposals.actions[chunk],
            proprio=proprio[place],
            values=scoring.values[chunk, future],
        )
        for place, (chunk, future) in enumerate(sorted(scoring.futures))
    ]


def _states(scoring: Scoring) -> Tensor:
    """All imagined states (chunks * futures, C, T, h, w), chunk by chunk."""
    return torch.stack([scoring.futures[key] for key in sorted(scoring.futures)])


def _seeds(seeds: Sequence[int], per_chunk: int, depth: int, mode: SeedMode) -> list[int]:
    """Seeds of the chunks proposed from imagined states; published is the candidate's own seed at every depth."""
    if mode == "reference":
        return [seed for seed in seeds for _ in range(per_chunk)]
    return [member_seed(seed, PROPOSAL_STAGE, depth, future, mode) for seed in seeds for future in range(per_chunk)]
