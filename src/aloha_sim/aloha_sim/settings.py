"""Everything about the cell that the embodiment contract decides, in one flat, validated set.

The same names are keyword arguments of `gymnasium.make`, of `Cell`, and parameters of `cell_node`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from aloha_sim.errors import SimError
from aloha_sim.gripper import Gripper, GripperLinkage
from aloha_sim.tasks import TASKS
from aloha_sim.tasks.base import Region

VENDOR_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
VENDOR_FINGERS = ("left_finger", "right_finger")


@dataclass(frozen=True)
class CellSettings:
    """Settings of the simulated cell; the defaults are those of the `aloha_sim` contract.

    Args:
        task: a task of `tasks.TASKS`.
        instruction: the task in words; empty: the task's own.
        arms: names of the left and of the right arm.
        joint_names: of one arm in vendor order, the gripper last.
        finger_names: appended to the joint states.
        start_action: (14,) start pose in action units, left arm then right; empty: the published start pose.
        cameras: rendered cameras; names of `scene.VIEWS` or of cameras in the MJCF.
        image_width, image_height: [px].
        control_rate: of the policy [Hz].
        command_rate: at which a target is refreshed between two actions [Hz]; a multiple of control_rate.
        gripper_position_open, gripper_position_close: finger positions [m] that read 1 and 0 as a state.
        gripper_joint_open, gripper_joint_close: motor angles [rad] that mean 1 and 0 as an action.
        gripper_horn_radius, gripper_arm_length: of the linkage [m].
        object_x_range, object_y_range: where objects start [m], table frame; empty: the task's own.
        object_yaw_range: their heading at the start [rad]; empty: the task's own.
        colour_shift: how far the colours of objects and table stray per seed, 0 none to 1 any colour.
        light_shift: how far brightness and direction of the lights stray per seed, 0 none to 1 wildly.
        camera_shift: how far the cameras are displaced per seed [m], and turned by a degree per centimetre.
        mesh_reduction: share of triangles dropped for rendering.

    Raises:
        SimError: a value is unusable, named with its remedy.
    """

    task: str = "transfer_cube"
    instruction: str = ""
    arms: Sequence[str] = ("follower_left", "follower_right")
    joint_names: Sequence[str] = VENDOR_JOINTS
    finger_names: Sequence[str] = VENDOR_FINGERS
    start_action: Sequence[float] = ()
    cameras: Sequence[str] = ("cam_left_wrist", "cam_right_wrist", "cam_high")
    image_width: int = 256
    image_height: int = 256
    control_rate: float = 25.0
    command_rate: float = 50.0
    gripper_position_open: float = 0.05800
    gripper_position_close: float = 0.01844
    gripper_joint_open: float = 1.4910
    gripper_joint_close: float = -0.6213
    gripper_horn_radius: float = 0.022
    gripper_arm_length: float = 0.036
    object_x_range: Sequence[float] = ()
    object_y_range: Sequence[float] = ()
    object_yaw_range: Sequence[float] = ()
    colour_shift: float = 0.0
    light_shift: float = 0.0
    camera_shift: float = 0.0
    mesh_reduction: float = 0.9

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise SimError(f"task: {self.task!r} is unknown to the simulator. Use one of: {', '.join(TASKS)}.")
        if len(self.arms) != 2:
            raise SimError(f"arms: the cell has a left and a right arm, got {list(self.arms)}. Name exactly two.")
        if len(self.joint_names) != 7 or len(self.finger_names) != 2:
            raise SimError(
                "joint_names: an arm of the cell has 6 joints and a gripper, and 2 finger_names; "
                f"got {len(self.joint_names)} and {len(self.finger_names)}. List 7 and 2."
            )
        if len(self.start_action) not in (0, 14):
            raise SimError(f"start_action: needs 14 numbers or none, got {len(self.start_action)}.")
        ratio = self.command_rate / self.control_rate
        if ratio < 1 or abs(ratio - round(ratio)) > 1e-6:
            raise SimError(
                f"command_rate: {self.command_rate} Hz is no multiple of control_rate {self.control_rate} Hz. "
                "Use one, for example twice the control rate."
            )
        for name in ("object_x_range", "object_y_range", "object_yaw_range"):
            bounds = getattr(self, name)
            if len(bounds) != 0 and (len(bounds) != 2 or bounds[0] > bounds[1]):
                raise SimError(f"{name}: needs a lower and an upper bound, or none, got {list(bounds)}.")
        for name in ("colour_shift", "light_shift", "camera_shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise SimError(f"{name}: {getattr(self, name)} is not within 0 to 1; 0 leaves the scene as it is.")
        if not self.instruction:
            object.__setattr__(self, "instruction", TASKS[self.task].instruction)  # frozen, and not yet born

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return tuple(field.name for field in fields(cls))

    @property
    def region(self) -> Region:
        """Where objects start."""
        own = TASKS[self.task].region
        return Region(self.object_x_range or own.x, self.object_y_range or own.y, self.object_yaw_range or own.yaw)

    @property
    def gripper(self) -> Gripper:
        """The gripper these constants describe."""
        return Gripper(
            self.gripper_position_open,
            self.gripper_position_close,
            self.gripper_joint_open,
            self.gripper_joint_close,
            GripperLinkage(self.gripper_horn_radius, self.gripper_arm_length),
        )
