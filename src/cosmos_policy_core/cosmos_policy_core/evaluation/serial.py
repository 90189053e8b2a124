"""The published execution of a plan, for comparison: everything one by one, encoded and decoded each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.planner import BestOfN, candidate_seeds


def decide_serially(planner: BestOfN, observation: Observation, seed: int) -> NDArray[np.float64]:
    """Score the candidates of a plan candidate by candidate and member by member.

    Returns:
        (n, futures, members): the values that `BestOfN.decide` computes in batches.
    """
    rows = []
    for each in candidate_seeds(seed, planner.n):
        scene = planner.policy.encode(observation)
        proposals = planner.policy.propose(scene, 1, seeds=[each], steps=planner.steps)
        planner.policy.decode(proposals.latents)
        futures = planner.world.imagine(scene, proposals, planner.futures)
        for member in range(planner.futures):
            planner.world.decode(futures.latents[:, member])
        rows.append(planner.world.evaluate(scene, futures, planner.values))
    return np.concatenate(rows)
