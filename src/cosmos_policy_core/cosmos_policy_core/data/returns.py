"""Value labels, action chunks and the make-up of an epoch (paper section 4, as published)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


def monte_carlo_returns(
    length: int, terminal_reward: float, gamma: float, absolute_scale: bool = False
) -> NDArray[np.float32]:
    """Discount a reward at the last step back to every step, rescaled to [-1, 1].

    Args:
        length: L, steps of the episode.
        terminal_reward: in [0, 1].
        gamma: discount per step.
        absolute_scale: False divides by the reward, as published, so that a partial success is labelled like a full
            one; True keeps its lower value.

    Returns:
        (L,) returns; -1 everywhere for reward 0.
    """
    # Accumulated backwards in float32, as published: a power in float64 is 1e-5 away after 700 steps.
    fraction = np.full(length, gamma, dtype=np.float32)
    fraction[0] = terminal_reward if absolute_scale else float(terminal_reward > 0)
    fraction = np.multiply.accumulate(fraction, dtype=np.float32)[::-1]
    return 2.0 * fraction - 1.0


def future_step(step: int, horizon: int, length: int) -> int:
    """Return the step whose state a chunk started at `step` is said to lead to."""
    return min(step + horizon, length - 1)


def action_chunk(actions: NDArray[Any], start: int, horizon: int) -> NDArray[Any]:
    """Cut (horizon, A) from (L, A) at `start`, repeating the last action beyond the end."""
    return actions[np.minimum(np.arange(start, start + horizon), len(actions) - 1)]


class EpochStructure(NamedTuple):
    """Samples of one epoch per pool; an index inside a pool is taken modulo the pool's true size."""

    demo: int
    success: int
    failure: int
    length: int


def epoch_structure(demo: int, success: int, failure: int, p_demo: float, p_success: float) -> EpochStructure:
    """Repeat or cut pools until demonstrations have share `p_demo` and successes share `p_success` of the rollouts.

    Args:
        demo, success, failure: steps in the pools of demonstrations, successful and failed rollouts.
        p_demo: share of demonstration samples in the epoch.
        p_success: share of successful rollouts among rollout samples.
    """
    if success > 0 and failure > 0:
        success, failure = _balance(success, failure, p_success)
    share = p_success if success > 0 and failure > 0 else float(success > 0)  # an empty pool leaves all to the other
    rollouts = success + failure
    if demo > 0 and rollouts > 0:
        if p_demo <= 0.0:
            demo = 0
        elif p_demo >= 1.0:
            success = failure = 0
        else:
            wanted = int(rollouts * p_demo / (1.0 - p_demo))
            if demo < wanted:
                demo = wanted
            else:
                rollouts = int(demo * (1.0 - p_demo) / p_demo)
                success, failure = int(rollouts * share), int(rollouts * (1.0 - share))
    return EpochStructure(demo, success, failure, demo + success + failure)


def _balance(success: int, failure: int, p_success: float) -> tuple[int, int]:
    if p_success <= 0.0:
        return 0, failure
    if p_success >= 1.0:
        return success, 0
    wanted = int(failure * p_success / (1.0 - p_success))
    if success < wanted:
        return wanted, failure
    return success, int(success * (1.0 - p_success) / p_success)
