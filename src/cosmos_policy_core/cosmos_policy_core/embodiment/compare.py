"""Which differences between two contracts change the meaning of a checkpoint's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmos_policy_core.embodiment.contract import Embodiment


def differences(mine: Embodiment, other: Embodiment) -> list[str]:
    """List ``key: a in <mine>, b in <other>`` for everything a checkpoint depends on."""
    here, there = meaning(mine), meaning(other)
    lines = []
    for key in [*here, *(key for key in there if key not in here)]:
        a, b = here.get(key, "nothing"), there.get(key, "nothing")
        if a != b:
            lines.append(f"{key}: {_text(a)} in {mine.source}, {_text(b)} in {other.source}")
    return lines


def meaning(contract: Embodiment) -> dict[str, Any]:
    """Flatten what a checkpoint depends on; topics, limits, poses and safety times are left out on purpose."""
    flat: dict[str, Any] = {
        "control_rate": contract.control_rate,
        "chunk_horizon": contract.chunk_horizon,
        "arms": tuple(arm.name for arm in contract.arms),
    }
    for index, arm in enumerate(contract.arms):
        key = f"arms[{index}]"
        flat[f"{key}.joints"] = tuple(joint.name for joint in arm.joints)
        flat[f"{key}.unit"] = arm.unit
        flat[f"{key}.gripper.state"] = arm.gripper.state.quantity
        flat[f"{key}.gripper.action"] = arm.gripper.action.quantity
        for name, value in arm.gripper.values.model_dump().items():
            flat[f"{key}.gripper.constants.{name}"] = value
    if contract.body is not None:
        body = contract.body
        flat |= {"body.action": body.action, "body.lower": body.lower, "body.upper": body.upper}
        flat["body.appended"] = body.appended
        flat["body.proprio"] = tuple(f"{reading.key} ({reading.size} {reading.unit})" for reading in body.proprio)
    flat["cameras"] = contract.camera_names
    for index, camera in enumerate(contract.cameras):
        flat[f"cameras[{index}].role"] = camera.role
    flat.update({f"images.{name}": value for name, value in contract.images.model_dump().items()})
    # Every checkpoint compresses live images as its own training images were: the robot's habit doesn't matter to it.
    del flat["images.jpeg_quality"]
    return flat


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, tuple) else str(value)
