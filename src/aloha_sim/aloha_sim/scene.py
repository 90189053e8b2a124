"""The cell as a MuJoCo model: the published MJCF, three cameras, meshes light enough for a CPU renderer."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from aloha_sim.errors import SimError
from aloha_sim.tasks import TASKS


@dataclass(frozen=True)
class View:
    """Where a camera sits: parent body, position [m] in it, image x and y axes in it, vertical field of view [deg]."""

    body: str
    position: tuple[float, float, float]
    axes: tuple[float, float, float, float, float, float]
    fovy: float


# Above the fingers, pitched 80 degrees down: sees the finger tips, what they hold and the table before them.
_WRIST_POSITION = (0.14, 0.0, 0.14)
_WRIST_AXES = (0.0, -1.0, 0.0, 0.985, 0.0, 0.174)

VIEWS = {
    "cam_high": View("world", (0.0, 0.5, 1.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 38.0),
    "cam_left_wrist": View("vx300s_left/gripper_link", _WRIST_POSITION, _WRIST_AXES, 75.0),
    "cam_right_wrist": View("vx300s_right/gripper_link", _WRIST_POSITION, _WRIST_AXES, 75.0),
}
"""Cameras added to the MJCF. Its own (top, angle, front_close, left_pillar, ...) can be rendered as well."""


def assets() -> Path:
    """Return the asset folder of the installed gym-aloha without importing it (it would pull dm_control in)."""
    found = importlib.util.find_spec("gym_aloha")
    if found is None or found.origin is None:
        raise SimError(
            "gym-aloha is not installed, and its wheel holds the robot's model. "
            "Install it: pip install --no-deps gym-aloha==0.1.5"
        )
    return Path(found.origin).parent / "assets"


def build_model(task: str = "transfer_cube", *, mesh_reduction: float = 0.9) -> mujoco.MjModel:
    """Compile the cell of a task.

    Args:
        task: a key of `TASKS`.
        mesh_reduction: share of the triangles to drop from every mesh except the fingers, 0 keeps all.
            A software renderer is bound by vertices: 0.9 draws about twice as fast.

    Raises:
        SimError: the task is unknown or gym-aloha is missing.
    """
    if task not in TASKS:
        raise SimError(f"task: {task!r} is unknown to the simulator. Use one of: {', '.join(TASKS)}.")
    folder = assets()
    spec = mujoco.MjSpec.from_file(str(folder / TASKS[task].mjcf))
    TASKS[task].build(spec)
    _add_cameras(spec)
    if mesh_reduction > 0:
        _decimate(spec, folder, mesh_reduction)
    # Shadows cost a CPU renderer seven times the rest of the picture; multisampling is no help at training sizes.
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    # The wrist cameras sit 0.1 m from their own fingers, which the shipped near plane (0.17 m) cuts away.
    spec.visual.map.znear = 0.02
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    return spec.compile()


def make_renderer(model: mujoco.MjModel, *, width: int, height: int) -> mujoco.Renderer:
    """Open an off-screen renderer. It belongs to the calling thread.

    Raises:
        SimError: no OpenGL back-end works here.
    """
    try:
        return mujoco.Renderer(model, height=height, width=width)
    except Exception as error:  # MuJoCo raises what its back-end raises: FatalError, AttributeError, ImportError, ...
        raise SimError(
            f"cannot draw the cell with MUJOCO_GL={os.environ.get('MUJOCO_GL', '(unset)')}: {error}. "
            "Install EGL (Debian, Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri), set MUJOCO_GL=egl "
            "before anything imports mujoco, or turn images off (render=False)."
        ) from error


def _add_cameras(spec: mujoco.MjSpec) -> None:
    for name, view in VIEWS.items():
        parent = spec.worldbody if view.body == "world" else spec.body(view.body)
        camera = parent.add_camera(name=name, pos=list(view.position), fovy=view.fovy)
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES  # else the axes are silently ignored
        camera.alt.xyaxes = list(view.axes)


def _decimate(spec: mujoco.MjSpec, folder: Path, reduction: float) -> None:
    """Replace all meshes but the fingers, whose exact shape is what holds the cube."""
    try:
        import fast_simplification
    except ImportError as error:
        raise SimError(
            "fast-simplification is not installed; it thins the meshes for rendering. "
            "Install it: pip install fast-simplification, or pass mesh_reduction=0"
        ) from error
    for mesh in spec.meshes:
        if "finger" in mesh.name or mesh.name == "tabletop":
            continue
        vertices, faces = _read_stl(folder / mesh.file)
        vertices, faces = fast_simplification.simplify(vertices, faces, target_reduction=reduction)
        mesh.file = ""
        mesh.uservert = vertices.ravel()
        mesh.userface = faces.ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # thinned shells need not be closed


def _read_stl(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a binary STL: vertices (V, 3) f32 with duplicates merged, faces (F, 3) i32."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.frombuffer(path.read_bytes(), dtype=record, offset=84)["corners"].reshape(-1, 3)
    vertices, index = np.unique(corners, axis=0, return_inverse=True)
    return np.ascontiguousarray(vertices), index.reshape(-1, 3).astype(np.int32)
