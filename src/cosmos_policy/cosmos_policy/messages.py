"""Conversions between messages and the core's values, each a small function."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from safetensors.numpy import load, save
from sensor_msgs.msg import Image

from cosmos_policy_core.data.messages import image_array as image_array
from cosmos_policy_core.data.messages import image_problem as image_problem
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ObservationError
from cosmos_policy_msgs.msg import ActionChunk, StageTime
from cosmos_policy_msgs.msg import Observation as ObservationMessage

LATENT_KEY = "latent"


def seconds(stamp: Time | Duration) -> float:
    """Turn a stamp or a duration into seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def duration_message(value: float) -> Duration:
    """Turn seconds into a duration, rounded to a nanosecond."""
    sec, nanosec = divmod(round(value * 1e9), 1_000_000_000)
    return Duration(sec=sec, nanosec=nanosec)


def constant_name(kind: type, value: int) -> str:
    """Name the constant of a message type that has a value, for example SUCCEEDED."""
    names = [name for name in dir(kind) if name.isupper() and getattr(kind, name) == value]
    return names[0] if names else str(value)


def image_message(pixels: NDArray[np.uint8], frame_id: str, stamp: Time | None = None) -> Image:
    """Turn (H, W, 3) uint8 RGB into an rgb8 image."""
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.frame_id = frame_id
    if stamp is not None:
        message.header.stamp = stamp
    message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())
    return message


def check_observation(message: ObservationMessage, contract: Embodiment) -> None:
    """Refuse an observation whose cameras, joints or numbers do not fit the contract.

    Raises:
        ObservationError: naming the camera or joint and what is expected.
    """
    if tuple(message.camera_names) != contract.camera_names or len(message.images) != len(contract.cameras):
        raise ObservationError(
            f"cameras are {list(message.camera_names)} with {len(message.images)} image(s). "
            f"Send one image each of {list(contract.camera_names)}, in this order."
        )
    for camera, image in zip(contract.cameras, message.images, strict=True):
        problem = image_problem(image, camera.width, camera.height, camera.encoding)
        if problem is not None:
            raise ObservationError(
                f"{camera.name}: {problem}. Make the camera and the contract '{contract.name}' agree."
            )
    if tuple(message.joint_names) != contract.joint_names:
        raise ObservationError(
            f"joints are {list(message.joint_names)}. Send {list(contract.joint_names)}, in this order."
        )
    if len(message.proprio) != contract.proprio_dim or not np.isfinite(message.proprio).all():
        raise ObservationError(
            f"proprioception must be {contract.proprio_dim} finite numbers; got {list(message.proprio)}. "
            "Check the joint states."
        )


def chunk_message(
    actions: NDArray[np.floating],
    contract: Embodiment,
    *,
    observation_stamp: Time,
    stamp: Time,
    candidate_id: int = 0,
    seed: int = 0,
    value: float = float("nan"),
    checkpoint_id: str = "",
    latent: bytes = b"",
) -> ActionChunk:
    """Pack (K, A) absolute targets in action space as a chunk of the contract's period."""
    message = ActionChunk(
        observation_stamp=observation_stamp,
        joint_names=list(contract.joint_names),
        period=duration_message(contract.period),
        horizon=len(actions),
        candidate_id=candidate_id,
        seed=seed,
        value=value,
        checkpoint_id=checkpoint_id,
    )
    message.header.stamp = stamp
    message.header.frame_id = contract.name
    message.positions = array.array("d", np.ascontiguousarray(actions, dtype=np.float64).tobytes())
    message.latent = array.array("B", latent)
    return message


def chunk_actions(message: ActionChunk) -> NDArray[np.float64]:
    """Unpack a chunk's targets as (horizon, joints); a wrong count of numbers raises ValueError."""
    return np.asarray(message.positions, dtype=np.float64).reshape(message.horizon, len(message.joint_names))


def chunk_problem(message: ActionChunk, contract: Embodiment) -> str | None:
    """Say why a chunk does not fit the contract, or return None."""
    if tuple(message.joint_names) != contract.joint_names:
        return f"joints are {list(message.joint_names)}. Send {list(contract.joint_names)}, in this order."
    if message.horizon != contract.chunk_horizon or len(message.positions) != message.horizon * contract.action_dim:
        return (
            f"{message.horizon} actions and {len(message.positions)} numbers. "
            f"Send {contract.chunk_horizon} actions of {contract.action_dim} numbers."
        )
    if abs(seconds(message.period) - contract.period) > 1e-6:
        return f"period is {seconds(message.period)} s. Send {contract.period} s, the contract's."
    if not np.isfinite(message.positions).all():
        return "a position is not a finite number. Send finite targets."
    return None


def without_latent(message: ActionChunk) -> ActionChunk:
    """Copy a chunk, leaving its latent behind."""
    copy = ActionChunk(
        header=message.header,
        observation_stamp=message.observation_stamp,
        joint_names=message.joint_names,
        period=message.period,
        horizon=message.horizon,
        candidate_id=message.candidate_id,
        seed=message.seed,
        value=message.value,
        checkpoint_id=message.checkpoint_id,
    )
    copy.positions = message.positions
    return copy


def latent_bytes(latent: NDArray[np.float32]) -> bytes:
    """Pack one sampled latent (C, T, h, w) as safetensors bytes."""
    return bytes(save({LATENT_KEY: np.ascontiguousarray(latent)}))


def latent_array(data: Sequence[int] | bytes) -> NDArray[np.float32] | None:
    """Unpack a latent; None when there is none.

    Raises:
        ValueError: the bytes are not a packed latent.
    """
    if len(data) == 0:
        return None
    try:
        return load(bytes(data))[LATENT_KEY]
    except Exception as error:  # safetensors raises its own, undocumented kinds
        raise ValueError(f"the latent cannot be read ({error}). Send the bytes of propose_chunks unchanged.") from error


def stage_message(stage: int, wall_seconds: float, evaluations: int = 0) -> StageTime:
    """Pack the wall time of one stage [s]; `stage` is a constant of StageTime."""
    return StageTime(stage=stage, seconds=wall_seconds, evaluations=evaluations)
