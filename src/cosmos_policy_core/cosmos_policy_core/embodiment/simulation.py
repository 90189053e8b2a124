"""The part of a contract that only a simulated robot has, and the settings derived for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from cosmos_policy_core.embodiment.base import Contract
from cosmos_policy_core.errors import ContractError

if TYPE_CHECKING:
    from cosmos_policy_core.embodiment.contract import Embodiment


class Simulation(Contract):
    """Where the simulated twin of this embodiment is found."""

    environment: str = Field(description="gymnasium id with its module, `module:Namespace/Name-v0`")
    clock_rate: float = Field(gt=0, description="rate of /clock [Hz]")


def settings(contract: Embodiment) -> dict[str, Any]:
    """Derive the simulated cell's settings; see :meth:`Embodiment.sim_settings`."""
    if contract.simulation is None:
        raise ContractError(
            f"{contract.source}: simulation: is missing. Add it, or use a contract of a simulated robot."
        )
    arm, camera = contract.arms[0], contract.cameras[0]
    constants = arm.gripper.values
    return {
        "arms": [arm.name for arm in contract.arms],
        "joint_names": list(arm.command_names),
        "start_action": contract.start_action.tolist(),
        "cameras": list(contract.camera_names),
        "image_width": camera.width,
        "image_height": camera.height,
        "control_rate": contract.control_rate,
        "command_rate": contract.command_rate,
        "gripper_position_open": constants.position_open,
        "gripper_position_close": constants.position_close,
        "gripper_joint_open": constants.joint_open,
        "gripper_joint_close": constants.joint_close,
    }


def node_settings(contract: Embodiment) -> dict[str, Any]:
    """Derive the parameters of the cell's node; see :meth:`Embodiment.sim_node_settings`."""
    values = settings(contract)
    assert contract.simulation is not None and contract.safety is not None
    return values | {
        "image_topics": [camera.topic for camera in contract.cameras],
        "state_topics": [arm.state_topic for arm in contract.arms],
        "command_topics": [arm.command_topic for arm in contract.arms],
        "clock_rate": contract.simulation.clock_rate,
        "state_rate": contract.state_rate,
        "camera_rate": contract.cameras[0].rate,
        "command_timeout": contract.safety.command_timeout,
    }
