"""The robot and the candidates in 3D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from cosmos_policy.monitor.colours import Colour, ranked_colours
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_core.geometry import RobotDescription, Shape, link_poses
from cosmos_policy_core.geometry.rotations import quaternion

THIN, THICK = 0.004, 0.010  # [m]
STILL = 1e-4  # [rad or m]: smaller motions are not sent


class Scene:
    """Draws the shapes of a description's links, and paths of its grippers."""

    def __init__(self, server: viser.ViserServer, robot: RobotDescription) -> None:
        self._server, self._robot = server, robot
        self._shown: dict[str, float] = {}
        server.scene.set_up_direction("+z")
        server.scene.configure_default_lights(cast_shadow=False)  # laptops without a GPU draw this too
        server.scene.add_grid("/floor", width=2.4, height=2.4, cell_size=0.1, position=(0.0, 0.5, -0.031))
        server.initial_camera.position = (0.0, -0.45, 0.95)
        server.initial_camera.look_at = (0.0, 0.45, 0.12)
        self._frames = {
            link: server.scene.add_frame(f"/robot/{link}", show_axes=False)
            for link, shapes in robot.links.items()
            if shapes
        }
        for link in self._frames:
            for number, shape in enumerate(robot.links[link]):
                _add(server, f"/robot/{link}/{number}", shape)
        self._move({})

    def show_joints(self, positions: Mapping[str, float]) -> None:
        """Move the robot, where it moved."""
        moved = any(abs(value - self._shown.get(name, np.inf)) > STILL for name, value in positions.items())
        if moved:
            self._shown.update(positions)
            self._move(self._shown)

    def show_plan(self, plan: PlanRecord, paths: GripperPaths, executed: int) -> None:
        """Draw all candidates by value, and the executed part of the chosen one thick."""
        colours = ranked_colours(plan.values)
        candidates, chosen = paths.of_actions(plan.candidates), paths.of_actions(plan.actions)
        with self._server.atomic():
            for arm, points in candidates.items():
                self._lines(f"/candidates/{arm}", points, colours, THIN)
                self._lines(f"/plan/{arm}", chosen[arm][None, :executed], [colours[plan.chosen]], THICK)

    def _move(self, positions: Mapping[str, float]) -> None:
        poses = link_poses(self._robot, positions, list(self._frames))
        with self._server.atomic():
            for link, frame in self._frames.items():
                frame.position = poses[link][:3, 3]
                frame.wxyz = quaternion(poses[link][:3, :3])

    def _lines(self, name: str, points: NDArray[np.float64], colours: list[Colour], width: float) -> None:
        """Draw (n, K, 3) paths, one colour each."""
        if points.shape[1] < 2:
            return
        segments = np.stack([points[:, :-1], points[:, 1:]], axis=2).reshape(-1, 2, 3)
        each = np.repeat(np.asarray(colours), points.shape[1] - 1, axis=0)
        painted = (255 * np.stack([each, each], axis=1)).astype(np.uint8)
        self._server.scene.add_line_segments(name, segments.astype(np.float32), painted, thickness=width)


def _add(server: viser.ViserServer, name: str, shape: Shape) -> None:
    red, green, blue = (round(255 * channel) for channel in shape.colour[:3])
    place: dict[str, Any] = {"position": shape.origin[:3, 3], "wxyz": quaternion(shape.origin[:3, :3])}
    place["color"] = (red, green, blue)
    if shape.kind == "box":
        length, width, height = shape.size
        server.scene.add_box(name, dimensions=(length, width, height), **place)
    elif shape.kind == "cylinder":
        radius, length = shape.size
        server.scene.add_cylinder(name, radius=radius, height=length, **place)
    else:
        server.scene.add_icosphere(name, radius=shape.size[0], **place)
