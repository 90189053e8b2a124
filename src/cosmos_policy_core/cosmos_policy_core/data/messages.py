"""What a camera's and an arm's message must look like, live or from a bag.

The functions read attributes only, so they take the messages of rclpy and those of a bag alike: what is decoded offline
is decoded by the same lines as what the policy sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# What the vendor's driver publishes for every joint when its bus read failed. It looks like a pose.
FAILED_READ = -np.pi


class RawImage(Protocol):
    """sensor_msgs/Image, from whichever library."""

    @property
    def encoding(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def data(self) -> Any: ...


def image_problem(message: RawImage, width: int, height: int, encoding: str = "rgb8") -> str | None:
    """Say why an image is not the expected one, or return None."""
    if message.encoding != encoding:
        return f"encoding is '{message.encoding}', not '{encoding}'"
    if (message.width, message.height) != (width, height):
        return f"size is {message.width}x{message.height}, not {width}x{height}"
    if message.step < 3 * width or len(message.data) != message.step * height:
        return f"{len(message.data)} bytes with step {message.step} do not hold {width}x{height} rgb8"
    return None


def image_array(message: RawImage) -> NDArray[np.uint8]:
    """View a checked rgb8 image as (H, W, 3) uint8 without copying."""
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)
    return rows[:, : 3 * message.width].reshape(message.height, message.width, 3)


def state_problem(names: Sequence[str], positions: Any) -> str | None:
    """Say why the positions of a joint state must not be believed, or return None."""
    position = np.asarray(positions, dtype=np.float64)
    if position.size == 0 or not np.isfinite(position).all():
        return "a joint position is not a number"
    # The fingers are derived from the gripper motor, so only the motors carry the mark.
    motors = [value for name, value in zip(names, position, strict=False) if not name.endswith("_finger")]
    if motors and np.allclose(motors, FAILED_READ, atol=1e-3):
        return "every joint reads -pi, the mark of a failed bus read"
    return None
