"""ROS 2 messages of what the cell measures."""

from __future__ import annotations

import array
import math

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from sensor_msgs.msg import CameraInfo, Image, JointState

from aloha_sim.cell import ArmState


def to_stamp(seconds: float) -> Time:
    """Turn simulated time [s] into a stamp."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def to_seconds(stamp: Time) -> float:
    """Turn a stamp into seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def image_message(picture: np.ndarray, stamp: Time, frame: str) -> Image:
    """Wrap (H, W, 3) uint8 RGB as rgb8."""
    message = Image(height=picture.shape[0], width=picture.shape[1], encoding="rgb8", step=3 * picture.shape[1])
    message.header.stamp, message.header.frame_id = stamp, frame
    message.data = array.array("B", picture.tobytes())  # any other type is checked element by element
    return message


def camera_info_message(width: int, height: int, fovy: float) -> CameraInfo:
    """Describe an ideal pinhole camera. Sizes in px, vertical field of view in degrees."""
    focal = height / 2 / math.tan(math.radians(fovy) / 2)
    x, y = width / 2, height / 2
    return CameraInfo(
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def joint_state_message(state: ArmState, stamp: Time, frame: str) -> JointState:
    """Wrap an arm's measurement."""
    message = JointState(
        name=list(state.names),
        position=array.array("d", state.position),
        velocity=array.array("d", state.velocity),
        effort=array.array("d", state.effort),
    )
    message.header.stamp, message.header.frame_id = stamp, frame
    return message


def status_message(name: str, problem: str, values: dict[str, str]) -> DiagnosticStatus:
    """Report a part of the cell; a problem makes it a warning."""
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
        name=f"aloha_sim: {name}",
        message=problem or "running",
        hardware_id="simulation",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
