"""Make the candidates of a plan, as many as its time allows."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.planning.budget import Budget

PROPOSAL_SHARE = 0.5
"""Of the time left after the first chunk, what the other candidates may take; the rest is for comparing them."""


def propose_candidates(
    policy: CosmosPolicy, scene: Scene, seeds: Sequence[int], steps: int | None, budget: Budget
) -> Proposals:
    """Sample one chunk per seed; against the clock the first alone first, which no deadline interrupts.

    The others get a share of the time that is left, by the measure of the first: candidates that cannot be compared
    are worth nothing.

    Returns:
        All chunks, or the first few that time allows, at least one.

    Raises:
        PlanCancelled: by the budget.
        ModelError: the network returned numbers that are not finite.
    """
    if budget.remaining is None or len(seeds) == 1:
        return _uninterrupted(policy, scene, seeds, steps, budget)
    before = budget.remaining()
    first = _uninterrupted(policy, scene, seeds[:1], steps, budget)
    left = budget.remaining()
    affordable = int(PROPOSAL_SHARE * max(left, 0.0) / max(before - left, 1e-9))
    others = seeds[1 : 1 + affordable]
    if not others:
        budget.check()
        return first
    try:
        return first.joined(policy.propose(scene, len(others), others, steps, budget.is_over))
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
