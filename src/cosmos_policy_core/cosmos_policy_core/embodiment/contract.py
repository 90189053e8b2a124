"""The embodiment contract: one robot, its cameras, its rates, and the meaning of every number of an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator

from cosmos_policy_core.embodiment import compare, reading
from cosmos_policy_core.embodiment.arms import Arm
from cosmos_policy_core.embodiment.base import Contract, Name
from cosmos_policy_core.embodiment.body import EndEffector
from cosmos_policy_core.embodiment.cameras import Camera, Images, order_problem
from cosmos_policy_core.embodiment.safety import Safety
from cosmos_policy_core.embodiment.simulation import Simulation, node_settings, settings
from cosmos_policy_core.errors import ContractError, ObservationError

Vector = NDArray[np.float64]


class Embodiment(Contract):
    """What live nodes, recorder, simulator and trainer must agree on.

    Of a robot with `arms`, the action vector holds, arm by arm in the listed order, the joints' absolute targets [rad]
    and the gripper (0 closed .. 1 open). Proprioception has the same layout; its gripper comes from another quantity
    than the action's. A simulated benchmark has a `body` instead: an end effector moved by pose deltas.
    """

    name: Name
    description: str = ""
    control_rate: float = Field(gt=0, description="actions per second of the policy [Hz]")
    chunk_horizon: int = Field(gt=0, description="actions in a chunk")
    executed_steps: int = Field(gt=0, description="actions of a chunk that are executed before the next plan")
    command_rate: float = Field(gt=0, description="commands per second to the arms [Hz]")
    state_rate: float = Field(gt=0, description="joint states per second from the arms [Hz]")
    arms: tuple[Arm, ...] = ()
    body: EndEffector | None = None
    cameras: tuple[Camera, ...] = Field(min_length=1, description="in the order of the latent sequence")
    images: Images
    safety: Safety | None = Field(default=None, description="required with arms")
    simulation: Simulation | None = None

    _source: str = PrivateAttr(default="<contract>")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Embodiment:
        problem = order_problem(self.cameras) or self._body_problem() or self._arm_problem()
        if problem is None and self.executed_steps > self.chunk_horizon:
            problem = (
                f"executed_steps: {self.executed_steps} is more than chunk_horizon. Use at most {self.chunk_horizon}."
            )
        if problem is None and self.command_rate < self.control_rate:
            problem = (
                f"command_rate: {self.command_rate} Hz is below control_rate. Use at least {self.control_rate} Hz."
            )
        if problem is not None:
            raise ValueError(problem)
        return self

    def _body_problem(self) -> str | None:
        if self.body is not None:
            extra = [key for key in ("arms", "safety", "simulation") if getattr(self, key)]
            return f"{extra[0]}: does not go with body. Remove one of the two." if extra else None
        if not self.arms:
            return "arms: is missing. List the arms, or describe a simulated benchmark's end effector as body."
        return "safety: is missing. Add it." if self.safety is None else None

    def _arm_problem(self) -> str | None:
        for attribute in ("name", "state_topic", "command_topic"):
            values = [getattr(arm, attribute) for arm in self.arms]
            for index, value in enumerate(values):
                if value in values[:index]:
                    first = values.index(value)
                    return f"arms[{index}].{attribute}: '{value}' is already used by arms[{first}]. Use each once."
        return None

    # Reading and writing ------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, name_or_path: str | Path) -> Embodiment:
        """Read a contract that ships with the package (by name) or any YAML file (by path).

        Raises:
            ContractError: naming file, key and remedy, one line per problem.
        """
        path = reading.find(name_or_path)
        return cls.from_yaml(reading.read_text(path), source=reading.display_name(path))

    @classmethod
    def from_yaml(cls, text: str, source: str = "<text>") -> Embodiment:
        """Read a contract from YAML text, for example the copy inside a recording; `source` is named in errors."""
        contract = reading.validate(cls, text, source)
        contract._source = source
        return contract

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the contracts that ship with the package."""
        return reading.shipped_names()

    def __eq__(self, other: object) -> bool:
        """Compare content; where a contract was read from does not matter."""
        return isinstance(other, Embodiment) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.name, self.action_names, self.camera_names))

    @property
    def source(self) -> str:
        """Where the contract was read from, for messages."""
        return self._source

    def to_yaml(self) -> str:
        """Write the whole contract as YAML; reading it back gives an equal contract."""
        absent = {key for key in ("arms", "body", "safety") if not getattr(self, key)}
        return reading.dump(self, absent)

    def differences(self, other: Embodiment) -> list[str]:
        """List, key by key, what differs and matters to a checkpoint; empty when its numbers mean the same."""
        return compare.differences(self, other)

    def sim_settings(self) -> dict[str, Any]:
        """Return what the simulated cell must know, as plain values.

        They are the keyword arguments of ``gymnasium.make(contract.simulation.environment, **settings)`` and
        parameters of the cell's node.

        Raises:
            ContractError: when the contract has no `simulation` section.
        """
        return settings(self)

    def sim_node_settings(self) -> dict[str, Any]:
        """Return :meth:`sim_settings` and what only the cell's ROS node needs: topics, rates and time-out."""
        return node_settings(self)

    # Numbers ------------------------------------------------------------------------------------------------------

    @property
    def period(self) -> float:
        """Time between two actions [s]."""
        return 1.0 / self.control_rate

    @property
    def start_distance(self) -> float:
        """Largest distance of a first action from the arms [rad]."""
        return self._safety.start_distance

    @property
    def image_max_age(self) -> float:
        """Age beyond which an image must not be planned on [s]."""
        return self._safety.image_age_periods * self.period

    @property
    def state_timeout(self) -> float:
        """Silence of an arm's joint states after which the executor holds [s]."""
        return self._safety.state_silence_periods / self.state_rate

    @property
    def _safety(self) -> Safety:
        if self.safety is None:
            raise ContractError(self._without_arms())
        return self.safety

    def _without_arms(self) -> str:
        return f"{self.source}: arms: is missing, so nothing can be commanded on the graph. Use a contract with arms."

    @property
    def action_dim(self) -> int:
        """Length of an action."""
        return len(self.action_names)

    @property
    def proprio_dim(self) -> int:
        """Length of the proprioception vector."""
        return len(self.proprio_names)

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """Names of the action's entries, ``<arm>/<joint>`` or ``<end effector>/<axis>``."""
        if self.body is not None:
            return self.body.action_names
        return tuple(f"{arm.name}/{joint}" for arm in self.arms for joint in arm.action_names)

    @cached_property
    def proprio_names(self) -> tuple[str, ...]:
        """Names of the proprioception's entries."""
        return self.action_names if self.body is None else self.body.proprio_names

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the action's entries, as messages carry them."""
        return self.action_names

    @cached_property
    def gripper_indices(self) -> tuple[int, ...]:
        """Positions of the grippers in the action vector."""
        return tuple(index for index, name in enumerate(self.action_names) if name.endswith("/gripper"))

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras in latent order."""
        return tuple(camera.name for camera in self.cameras)

    @property
    def action_lower(self) -> Vector:
        """(A,) lower position limits in action space."""
        if self.body is not None:
            return np.full(self.action_dim, self.body.lower)
        return self._per_action([arm.lower for arm in self.arms])

    @property
    def action_upper(self) -> Vector:
        """(A,) upper position limits in action space."""
        if self.body is not None:
            return np.full(self.action_dim, self.body.upper)
        return self._per_action([arm.upper for arm in self.arms])

    @property
    def velocity_limits(self) -> Vector:
        """(A,) speed limits in action space, per second."""
        return self._per_action([arm.velocity for arm in self.arms])

    @property
    def start_action(self) -> Vector:
        """(A,) the pose an episode starts from, in action space."""
        return self._per_action([arm.start_pose for arm in self.arms])

    @property
    def sleep_action(self) -> Vector:
        """(A,) the pose in which the torque may be cut, in action space."""
        return self._per_action([arm.sleep_pose for arm in self.arms])

    def proprio_from_states(self, states: Mapping[str, Mapping[str, float]]) -> Vector:
        """Assemble (P,) proprioception from joint positions per arm, as its JointState message names them [rad, m].

        Raises:
            ObservationError: when an arm or joint is missing or a number is not finite.
        """
        if not self.arms:
            raise ContractError(self._without_arms())
        values: list[float] = []
        for arm in self.arms:
            state = states.get(arm.name)
            if state is None:
                raise ObservationError(f"{arm.state_topic}: no joint states of arm '{arm.name}'. Start its driver.")
            wanted = [*(joint.name for joint in arm.joints), arm.gripper.state.joint]
            missing = [name for name in wanted if name not in state]
            if missing:
                raise ObservationError(
                    f"{arm.state_topic}: joint '{missing[0]}' is not in the message. Publish {', '.join(wanted)}."
                )
            values.extend(float(state[joint.name]) for joint in arm.joints)
            values.append(arm.gripper.state_to_unit(float(state[arm.gripper.state.joint])))
        proprio = np.array(values, dtype=np.float64)
        if not np.isfinite(proprio).all():
            bad = self.joint_names[int(np.flatnonzero(~np.isfinite(proprio))[0])]
            raise ObservationError(f"{bad}: the joint state is not a finite number. Check the driver's bus.")
        return proprio

    def commands_from_action(self, action: Sequence[float] | NDArray[Any]) -> dict[str, tuple[list[str], list[float]]]:
        """Split (A,) one action into joint names and positions [rad, m] per arm, ready for a command message.

        Raises:
            ObservationError: when the length is not A or a number is not finite.
        """
        vector = np.asarray(action, dtype=np.float64)
        if vector.shape != (self.action_dim,) or not np.isfinite(vector).all():
            raise ObservationError(
                f"{self.name}: an action of shape {vector.shape} with finite={bool(np.isfinite(vector).all())} "
                f"cannot be commanded. Give {self.action_dim} finite numbers."
            )
        if not self.arms:
            raise ContractError(self._without_arms())
        commands: dict[str, tuple[list[str], list[float]]] = {}
        start = 0
        for arm in self.arms:
            names = list(arm.command_names)
            positions = [float(value) for value in vector[start : start + len(names)]]
            positions[-1] = arm.gripper.action_to_command(positions[-1])
            commands[arm.name] = (names, positions)
            start += len(names)
        return commands

    def _per_action(self, parts: Sequence[Sequence[float]]) -> Vector:
        if not parts:
            raise ContractError(self._without_arms())
        return np.array([value for part in parts for value in part], dtype=np.float64)
