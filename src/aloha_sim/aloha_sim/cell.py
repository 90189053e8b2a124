"""The cell in physics time: two arms commanded in vendor units, cameras, and the judge of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from aloha_sim.domain import Domain
from aloha_sim.errors import SimError
from aloha_sim.scene import build_model, make_renderer
from aloha_sim.settings import CellSettings
from aloha_sim.tasks import TASKS
from aloha_sim.tasks.base import Judgement

PREFIXES = ("vx300s_left", "vx300s_right")
"""Names of the two arms in the MJCF, left first."""

START_ARM = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
START_FINGER = 0.02239
"""Published start pose of both arms: joints [rad] and finger position [m] (ALOHA `START_ARM_POSE`)."""

_FINGER_RANGE = (0.021, 0.057)
"""[m] What the finger actuators of the MJCF accept."""


@dataclass(frozen=True)
class ArmState:
    """One arm in vendor order: 6 joints [rad], gripper motor [rad], left and right finger [m].

    Efforts are actuator torques [N m]; of the fingers, forces [N].
    """

    names: tuple[str, ...]
    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray


class Cell:
    """Two ViperX arms, the objects of a task and cameras in MuJoCo.

    Not thread-safe. The renderer is opened by the first `render` and belongs to that thread.

    Args:
        settings: fields of `CellSettings` as keywords.

    Raises:
        SimError: a setting is unusable or the model cannot be built.
    """

    def __init__(self, **settings: Any) -> None:
        unknown = sorted(set(settings) - set(CellSettings.names()))
        if unknown:
            raise SimError(f"settings: {', '.join(unknown)} unknown. Known: {', '.join(CellSettings.names())}.")
        self.settings = CellSettings(**settings)
        self.gripper = self.settings.gripper
        self.model = build_model(self.settings.task, mesh_reduction=self.settings.mesh_reduction)
        self.data = mujoco.MjData(self.model)
        for camera in self.settings.cameras:
            if mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_CAMERA, camera) < 0:
                known = [self.model.camera(i).name for i in range(self.model.ncam)]
                raise SimError(f"cameras: the cell has no camera {camera!r}. It has: {', '.join(known)}.")
        self.task = TASKS[self.settings.task]
        self._judge = self.task.judge(self.model)
        self._domain = Domain(self.model, self.settings, self.task.coloured)
        self._renderer: mujoco.Renderer | None = None
        self._actuators = [np.arange(8 * arm, 8 * arm + 8) for arm in range(2)]
        joints = [self.model.actuator_trnid[index, 0] for index in self._actuators]
        self._qpos = [self.model.jnt_qposadr[index] for index in joints]
        self._dofs = [self.model.jnt_dofadr[index] for index in joints]
        self._objects = {name: int(self.model.joint(joint).qposadr[0]) for name, joint in self.task.objects.items()}
        self.state_names = (*self.settings.joint_names, *self.settings.finger_names)
        self.reset(0)

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Simulated time since the last reset [s]."""
        return float(self.data.time)

    @property
    def timestep(self) -> float:
        """Physics step [s]."""
        return float(self.model.opt.timestep)

    @property
    def start_action(self) -> np.ndarray:
        """(14,) start pose in action units."""
        if len(self.settings.start_action):
            return np.asarray(self.settings.start_action, dtype=np.float64)
        return np.array([*START_ARM, self.gripper.action_from_finger(START_FINGER)] * 2)

    @property
    def object_poses(self) -> np.ndarray:
        """(n, 7) of the task's objects in its order: x y z [m], qw qx qy qz."""
        return np.stack([self.object_pose(name) for name in self._objects])

    def object_pose(self, name: str) -> np.ndarray:
        """(7,) of an object of the task: x y z [m], qw qx qy qz."""
        address = self._objects[name]
        return self.data.qpos[address : address + 7].copy()

    def joint_state(self, arm: int) -> ArmState:
        """Measure an arm (0 left, 1 right)."""
        position, velocity = self.data.qpos[self._qpos[arm]], self.data.qvel[self._dofs[arm]]
        effort = self.data.actuator_force[self._actuators[arm]]
        linkage = self.gripper.linkage
        opening = (position[6] - position[7]) / 2
        motor = linkage.motor_from_finger(opening)
        slope = linkage.slope(motor)
        return ArmState(
            self.state_names,
            np.concatenate([position[:6], [motor], position[6:]]),
            np.concatenate([velocity[:6], [(velocity[6] - velocity[7]) / 2 / slope], velocity[6:]]),
            np.concatenate([effort[:6], [(effort[6] - effort[7]) * slope], effort[6:]]),
        )

    def proprio(self) -> np.ndarray:
        """(14,) as ALOHA data have it: joints [rad], grippers normalised finger positions."""
        parts = []
        for index in self._qpos:
            position = self.data.qpos[index]
            parts += [position[:6], [self.gripper.state_from_finger(position[6])]]
        return np.concatenate(parts)

    def judge(self) -> Judgement:
        """Judge the task at this instant."""
        return self._judge(self.data)

    # -- motion --------------------------------------------------------------------------------------------------

    def reset(self, seed: int, *, pause: float = 0.0) -> None:
        """Put arms and objects to their start and let physics run for `pause` seconds [s] (0.5 settles objects)."""
        self._domain.apply(seed)
        mujoco.mj_resetData(self.model, self.data)
        start = self.start_action
        for arm in range(2):
            self.command(arm, self.motor_units(start[7 * arm : 7 * arm + 7]))
            self.data.qpos[self._qpos[arm]] = self.data.ctrl[self._actuators[arm]]
        for name, pose in self.task.place(seed, self.settings.region).items():
            address = self._objects[name]
            self.data.qpos[address : address + 7] = pose
        mujoco.mj_forward(self.model, self.data)
        self.advance(pause)

    def motor_units(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Turn (7,) action units of one arm into vendor units: the gripper becomes a motor angle [rad]."""
        command = np.array(action, dtype=np.float64)
        command[6] = self.gripper.motor_from_action(command[6])
        return command

    def command(self, arm: int, positions: Sequence[float] | np.ndarray) -> None:
        """Set the target of an arm: (7,) 6 joints and gripper motor [rad]. It stays until the next one."""
        finger = float(np.clip(self.gripper.linkage.finger_from_motor(float(positions[6])), *_FINGER_RANGE))
        self.data.ctrl[self._actuators[arm]] = [*positions[:6], finger, -finger]

    def command_action(self, action: np.ndarray) -> None:
        """Set the targets of both arms: (14,) in action units."""
        for arm in range(2):
            self.command(arm, self.motor_units(action[7 * arm : 7 * arm + 7]))

    def step(self, steps: int = 1) -> None:
        """Advance physics by a number of its steps."""
        mujoco.mj_step(self.model, self.data, steps)

    def advance(self, seconds: float) -> None:
        """Advance physics by a time [s], rounded to whole steps."""
        steps = round(seconds / self.timestep)
        if steps > 0:
            self.step(steps)

    def snapshot(self) -> np.ndarray:
        """Return everything that physics depends on, to come back to with `restore`."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state

    def restore(self, snapshot: np.ndarray) -> None:
        """Return to a snapshot of this cell; what follows is what would have followed then."""
        mujoco.mj_setState(self.model, self.data, snapshot, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)

    # -- pictures ------------------------------------------------------------------------------------------------

    def render(self, camera: str) -> np.ndarray:
        """Draw what a camera sees: (H, W, 3) uint8 RGB. Always from the thread of the first call."""
        if self._renderer is None:
            self._renderer = make_renderer(
                self.model, width=self.settings.image_width, height=self.settings.image_height
            )
        self._renderer.update_scene(self.data, camera=camera)
        return self._renderer.render()

    def images(self) -> dict[str, np.ndarray]:
        """Draw all cameras of the settings."""
        return {camera: self.render(camera) for camera in self.settings.cameras}

    def close(self) -> None:
        """Free the renderer. From the thread that rendered."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
