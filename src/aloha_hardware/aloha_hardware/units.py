"""Raw register units <-> SI (ROBOTIS e-Manual, X series; mid stroke of 4096 ticks per turn is 0 rad)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Angles = Sequence[float] | NDArray[np.float64]

TICKS_PER_TURN = 4096
CENTRE = 2048
RAD_PER_TICK = 2 * math.pi / TICKS_PER_TURN
VELOCITY_UNIT = 0.229 * 2 * math.pi / 60  # [rad/s]
CURRENT_UNIT = 2.69e-3  # [A]
LOAD_UNIT = 1e-3  # of the largest torque, on motors without a current sensor
VOLTAGE_UNIT = 0.1  # [V]
WATCHDOG_UNIT = 0.020  # [s]


def radians_from_ticks(ticks: int) -> float:
    """Turn a position register into an angle [rad]."""
    return (ticks - CENTRE) * RAD_PER_TICK


def ticks_from_radians(angle: float) -> int:
    """Turn an angle [rad] into the nearest position register value."""
    return round(angle / RAD_PER_TICK) + CENTRE
