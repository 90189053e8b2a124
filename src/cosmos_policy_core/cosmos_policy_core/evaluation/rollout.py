"""One closed-loop trial in a simulated cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.planner import Plan, Planner


@dataclass(frozen=True)
class Trial:
    """How one trial went.

    success: the cell's own criterion. best_stage: the highest stage of the task that was reached.
    steps: control steps until success, or all of them. plans: every decision that was made.
    success_score: the largest share of the task that was done, 0 to 1.
    """

    seed: int
    success: bool
    best_stage: int
    steps: int
    plans: tuple[Plan, ...]
    success_score: float = 0.0


@dataclass(frozen=True)
class RolloutOptions:
    """How a trial is run.

    max_steps: budget in control steps. executed_steps: actions per plan.
    thinking: seconds the cell runs on with the arms held while a plan is made, as it does on a robot.
    """

    max_steps: int = 200
    executed_steps: int = 50
    thinking: float = 0.4


def run_trial(
    environment: gymnasium.Env[Any, Any],
    planner: Planner,
    instruction: str,
    seed: int,
    options: RolloutOptions,
    before_step: Callable[[Any, NDArray[np.float64]], None] | None = None,
) -> Trial:
    """Plan and execute until success or out of budget.

    Args:
        environment: made with `render=False`; images are drawn when a plan needs them.
        before_step: called with the cell and the action that comes next.
    """
    cell: Any = environment.unwrapped
    environment.reset(seed=seed)
    plans: list[Plan] = []
    info: dict[str, Any] = {"success": False, "best_stage": 0}
    step = 0
    while step < options.max_steps and not info["success"]:
        if plans and options.thinking:
            cell.hold(options.thinking)
        seen = cell.observe(images=True)
        observation = Observation(images=seen["images"], proprio=seen["proprio"], instruction=instruction)
        plan = planner.decide(observation, seed, len(plans))
        plans.append(plan)
        for action in plan.actions[: options.executed_steps]:
            if before_step is not None:
                before_step(cell, action)
            _, _, _, _, info = environment.step(action)
            step += 1
            if info["success"] or step >= options.max_steps:
                break
    score = float(info.get("success_score", info["success"]))
    return Trial(seed, bool(info["success"]), int(info["best_stage"]), step, tuple(plans), score)
