"""Messages that a healthy robot would send, for tests to spoil."""

from __future__ import annotations

import array

import numpy as np
from rclpy.time import Time
from sensor_msgs.msg import Image, JointState

from cosmos_policy.messages import image_message
from cosmos_policy_core.embodiment import Arm, Camera, Embodiment


def joint_state(arm: Arm, stamp: Time) -> JointState:
    """The arm in its start pose, in the vendor's order: six joints, gripper motor, two fingers."""
    values = arm.gripper.values
    opened = arm.start_pose[-1]
    finger = values.position_close + opened * (values.position_open - values.position_close)
    message = JointState(name=[*arm.command_names, "left_finger", "right_finger"])
    message.position = [*arm.start_pose[:-1], arm.gripper.action_to_command(opened), finger, -finger]
    message.header.stamp = stamp.to_msg()
    return message


def image(camera: Camera, stamp: Time, level: int = 128) -> Image:
    """A uniform grey image."""
    pixels = np.full((camera.height, camera.width, 3), level, dtype=np.uint8)
    return image_message(pixels, camera.name, stamp.to_msg())


def robot(contract: Embodiment, stamp: Time) -> dict[str, Image | JointState]:
    """One message per topic of the contract."""
    messages: dict[str, Image | JointState] = {camera.topic: image(camera, stamp) for camera in contract.cameras}
    messages.update({arm.state_topic: joint_state(arm, stamp) for arm in contract.arms})
    return messages


def spoil_bytes(message: Image, size: int) -> None:
    """Cut an image's payload."""
    message.data = array.array("B", bytes(size))
