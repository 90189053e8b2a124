"""What the tests of the arms share: an emulated arm on a pseudo-terminal, and settings that fit it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.motors import FOLLOWER

PATIENCE = 15.0  # [s] on a machine that does other things too
START = {"waist": 0.0, "shoulder": -0.96, "elbow": 1.16, "forearm_roll": 0.0, "wrist_angle": -0.3, "wrist_rotate": 0.0}

# The emulator runs in Python beside the driver: it needs more time than nine motors do.
RELAXED = {"bus_patience": 0.03, "bus_timeout": 0.3, "watchdog": 2.0}


def settings(line: EmulatedLine, **changes: Any) -> ArmSettings:
    """Return settings of a follower on an emulated line."""
    values: dict[str, Any] = {"port": line.path, **RELAXED, **changes}
    return ArmSettings(**values)


def follower(**options: Any) -> EmulatedLine:
    """Start an emulated follower in its start pose, where it stays without torque too."""
    chain = Chain(FOLLOWER, **{"falls": False, **options})
    chain.pose(START)
    return EmulatedLine(chain, wire_time=False)


def wait(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds and return its value."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience} s for {what}")
