"""Bring the arms to where a recorded motion begins, slowly and without a jolt."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment

SPEED = 0.25  # of the velocity limits, at the fastest moment
PEAK = 1.875  # velocity of a minimum-jerk motion at its middle, as a multiple of its mean
DWELL = 0.5  # [s] at rest before the motion begins

Actions = NDArray[np.float64]


def approach(
    start: NDArray[np.float64], target: NDArray[np.float64], contract: Embodiment, speed: float = SPEED
) -> Actions:
    """Plan (N, A) actions along a minimum-jerk line from one pose to another, and a moment of rest at its end.

    Args:
        speed: largest velocity, as a share of the contract's limits.
    """
    distance = np.abs(np.asarray(target) - np.asarray(start)) / contract.velocity_limits
    steps = max(1, math.ceil(float(distance.max()) * PEAK / speed * contract.control_rate))
    s = np.arange(1, steps + 1) / steps
    share = s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    way = np.asarray(start) + share[:, None] * (np.asarray(target) - np.asarray(start))
    return np.concatenate([way, np.repeat(way[-1:], round(DWELL * contract.control_rate), axis=0)])


def slowed(actions: Actions, speed: float) -> Actions:
    """Stretch (N, A) actions in time; a speed of 0.5 takes twice as long."""
    if speed == 1.0:
        return np.asarray(actions, dtype=np.float64)
    places = np.arange(0.0, len(actions) - 1 + 1e-9, speed)
    known = np.arange(len(actions))
    return np.stack([np.interp(places, known, column) for column in np.asarray(actions, dtype=np.float64).T], axis=1)
