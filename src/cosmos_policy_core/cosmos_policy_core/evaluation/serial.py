"""The published execution of a plan, for comparison: everything one by one, encoded and decoded each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.planner import BestOfN
from cosmos_policy_core.planning.scoring import Scoring


def decide_serially(planner: BestOfN, observation: Observation, seed: int) -> NDArray[np.float64]:
    """Score the candidates of a plan candidate by candidate and member by member.

    Returns:
        (n, futures, members): the values that `BestOfN.decide` computes in batches.
    """
    policy, world, settings = planner.policy, planner.world, planner.settings
    rows = []
    for each in planner.candidate_seeds(seed):
        scene = policy.encode(observation)
        proposals = policy.propose(scene, 1, seeds=[each], steps=settings.action_steps)
        policy.decode(proposals.latents, scene)
        scoring = Scoring(world, scene, proposals, settings, Budget())
        for future in range(scoring.values.shape[1]):
            scoring.imagine([(0, future, 0)])
            if scoring.imagines:
                world.decode(scoring.futures[0, future][None], scene)
            for member in range(settings.values):
                scoring.evaluate([(0, future, member)])
        rows.append(scoring.values)
    return np.concatenate(rows)
