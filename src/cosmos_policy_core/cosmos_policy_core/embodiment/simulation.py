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
    first = contract.cameras[0]
    return {
        "control_rate": contract.control_rate,
        "command_rate": contract.command_rate,
        "state_rate": contract.state_rate,
        "camera_rate": first.rate,
        "camera_names": list(contract.camera_names),
        "image_width": first.width,
        "image_height": first.height,
        "arm_names": [arm.name for arm in contract.arms],
    }
