"""What the emulated motors did, moment by moment, for who wants to know afterwards: one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from aloha_hardware.emulator.chain import Chain

EVERY = 0.004  # [s]


class Trace:
    """Write `{"t": [s] on the monotonic clock, "speed": {joint: [rad/s]}, "goal": {id: ticks}, "torque": [ids]}`.

    A line is written when a goal or torque changed, otherwise every 4 ms.
    """

    def __init__(self, path: str | Path) -> None:
        self._file: TextIO = Path(path).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115  (open until `close`)
        self._next = 0.0
        self._last: tuple[dict[int, int], list[int]] = ({}, [])

    def note(self, chain: Chain, now: float) -> None:
        """Write what is, if it is time or if it is new."""
        goals = {motor.id: motor.registers.get("goal_position") for motor in chain.motors}
        torque = [motor.id for motor in chain.motors if motor.torque]
        if now < self._next and (goals, torque) == self._last:
            return
        self._next, self._last = now + EVERY, (goals, torque)
        speed = {name: round(joint.velocity, 4) for name, joint in chain.joints.items()}
        self._file.write(json.dumps({"t": round(now, 6), "speed": speed, "goal": goals, "torque": torque}) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
