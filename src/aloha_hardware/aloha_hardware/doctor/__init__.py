"""What aloha_hardware adds to `cosmos-policy doctor`: ports, motors, cameras and the udev rules.

Nothing here writes to a motor or switches a torque on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aloha_hardware.doctor import arms, cameras, udev

Row = dict[str, str]


def check(subject: Mapping[str, Any]) -> Iterator[Row]:
    """Examine what a hardware file names; without one, only say what is plugged in."""
    if subject["hardware"]:
        yield from udev.check(subject["arms"])
        for arm in subject["arms"]:
            yield from arms.check(arm, ask_motors=subject["motors"])
        for camera in subject["cameras"]:
            yield from cameras.check(camera)
    yield from udev.plugged_in()
    yield from cameras.plugged_in()
