"""Look further ahead than one chunk: the policy proposes from states that the world model imagined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.ensembles import SeedMode, member_seed
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_core.planning.scoring import Scoring

PROPOSAL_STAGE = 3
"""Stream of the proposals made from imagined states, beside those of futures and values."""


@dataclass(frozen=True)
class Node:
    """One imagined state: what was done before it, what it looks like to the arms, what it is worth.

    candidate: chunk of the present that the path starts with. parent: index of the state before; None at depth 1.
    actions: (K, A) the chunk that leads here, robot units. proprio: (P,) predicted proprioception, robot units.
    values: (members,) in [0, 1].
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
    policy_scene: Scene | None = None,
) -> Tree:
    """Grow the tree depth by depth; a depth that the budget cuts off is left out whole.

    Each state of a depth gets one chunk from the policy, and each chunk `settings.futures` states. All states of a
    depth are asked together.

    Args:
        scene: the present as the world model encodes it. policy_scene: as the policy does, when they differ.

    Raises:
        PlanCancelled: by the budget.
    """
    tree, present = Tree(), policy_scene or scene
    parents: list[int | None] = [None] * len(proposals.seeds)
    candidates = list(range(len(proposals.seeds)))
    try:
        for depth in range(1, settings.depth + 1):
            scoring = Scoring(world, scene, proposals, settings, budget)
            scoring.run_all()
            first = len(tree.nodes)
            tree = tree.grown(_nodes(scoring, depth, candidates, parents))
            if depth < settings.depth:
                per_chunk = scoring.values.shape[1]
                candidates = [candidate for candidate in candidates for _ in range(per_chunk)]
                parents = list(range(first, len(tree.nodes)))
                scene = world.advance(_states(scoring), scene)
                seeds = _seeds(proposals.seeds, per_chunk, depth, settings.seeds or policy.config.seeds)
                proposals = policy.propose(
                    Scene(scene.clean, present.text), len(seeds), seeds, settings.action_steps, budget.is_over
                )
    except SamplingStopped:
        budget.check()
    return tree


def _nodes(scoring: Scoring, depth: int, candidates: list[int], parents: Sequence[int | None]) -> list[Node]:
    per_chunk = scoring.values.shape[1]
    proprio = scoring.world.proprio_of(_states(scoring))
    return [
        Node(
            candidate=candidates[chunk],
            depth=depth,
            parent=parents[chunk],
            future=future,
            actions=scoring.proposals.actions[chunk],
            proprio=proprio[chunk * per_chunk + future],
            values=scoring.values[chunk, future],
        )
        for chunk in range(len(candidates))
        for future in range(per_chunk)
    ]


def _states(scoring: Scoring) -> Tensor:
    """All imagined states (chunks * futures, C, T, h, w), chunk by chunk."""
    return torch.stack([scoring.futures[key] for key in sorted(scoring.futures)])


def _seeds(seeds: Sequence[int], per_chunk: int, depth: int, mode: SeedMode) -> list[int]:
    """Seeds of the chunks proposed from imagined states; published is the candidate's own seed at every depth."""
    if mode == "reference":
        return [seed for seed in seeds for _ in range(per_chunk)]
    return [member_seed(seed, PROPOSAL_STAGE, depth, future, mode) for seed in seeds for future in range(per_chunk)]
