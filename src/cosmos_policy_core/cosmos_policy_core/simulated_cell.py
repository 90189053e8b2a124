"""The simulated cell of a contract, and how its scenes may stray from a task's own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import SimulatorError

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How far the looks of the scenes stray from the task's own, drawn anew for every seed."""

    colour_shift: float = 0.0
    """Share by which the colours of objects and table are mixed with random ones, 0 to 1."""
    light_shift: float = 0.0
    """How far brightness and direction of the lights stray, 0 to 1."""
    camera_shift: float = 0.0
    """How far every camera is displaced [m]; it is also turned, by a degree per centimetre."""

    @property
    def changes(self) -> dict[str, Any]:
        """Settings of the cell in which these scenes differ from the task's own."""
        return {field.name: value for field in fields(Domain) if (value := getattr(self, field.name, None))}


@dataclass(frozen=True, kw_only=True)
class Domain(Looks):
    """What scenes look like and where their objects start."""

    object_x_range: Range | None = None
    """Where objects start, lower and upper bound [m]; the task's own when left out."""
    object_y_range: Range | None = None
    """The same in y [m]."""
    object_yaw_range: Range | None = None
    """Heading of the objects at the start [rad]; the task's own when left out."""


def make_cell(contract: Embodiment, task: str = "", **changes: Any) -> Any:
    """Make the simulated cell of a contract as a gymnasium environment.

    Args:
        task: `some_task`, served by the environment `SomeTask-v0` beside the contract's own; empty: the contract's own.
        changes: override the cell's settings.

    Raises:
        ContractError: the contract has no simulation.
        SimulatorError: the simulator is not installed or refuses its settings.
    """
    settings = contract.sim_settings() | changes
    assert contract.simulation is not None
    environment = contract.simulation.environment
    if task:
        environment = f"{environment.rpartition('/')[0]}/{task.title().replace('_', '')}-v0"
    try:
        import gymnasium

        return gymnasium.make(environment, disable_env_checker=True, **settings)
    except ImportError as error:
        raise SimulatorError(
            f"{contract.source}: simulation.environment: '{environment}' cannot be imported "
            f"({error}). "
            f"Run `make setup`, or install gymnasium and the simulator's package."
        ) from None
    except Exception as error:
        raise SimulatorError(f"{environment} could not be started: {error}") from error
