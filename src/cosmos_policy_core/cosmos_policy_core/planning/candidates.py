"""Make the candidates of a plan, as many as its time allows."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.planning.budget import Budget


def propose_candidates(
    policy: CosmosPolicy, scene: Scene, seeds: Sequence[int], steps: int | None, budget: Budget
) -> Proposals:
    """Sample one chunk per seed; against the clock the first alone first, which no deadline interrupts.

    Returns:
        All chunks, or the first one when time was up before the others were made.

    Raises:
        PlanCancelled: by the budget.
        ModelError: the network returned numbers that are not finite.
    """
    if not budget.limited or len(seeds) == 1:
        return _uninterrupted(policy, scene, seeds, steps, budget)
    first = _uninterrupted(policy, scene, seeds[:1], steps, budget)
    try:
        return first.joined(policy.propose(scene, len(seeds) - 1, seeds[1:], steps, budget.is_over))
    except SamplingStopped:
        budget.check()
        return first


def _uninterrupted(
    policy: CosmosPolicy, scene: Scene, seeds: Sequence[int], steps: int | None, budget: Budget
) -> Proposals:
    """Sample chunks that are needed whatever the time; only cancelling stops it."""
    try:
        return policy.propose(scene, len(seeds), seeds, steps, budget.cancel_wanted)
    except SamplingStopped:
        budget.check()
        raise
