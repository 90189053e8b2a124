"""Looks of the scene that vary per seed, for tests outside the training distribution: colours, lights, cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np

if TYPE_CHECKING:
    from aloha_sim.settings import CellSettings

DEGREES_PER_METRE = 100.0
"""[deg/m] How far a displaced camera is turned."""


class Domain:
    """Changes the looks of a compiled cell; with all shifts 0 it never touches the model.

    Args:
        model: the cell. settings: the shifts. coloured: geoms beside the table whose colour may change.
    """

    def __init__(self, model: mujoco.MjModel, settings: CellSettings, coloured: tuple[str, ...]) -> None:
        self._model, self._settings = model, settings
        self._geoms = [int(model.geom(name).id) for name in (*coloured, "table")]
        self._cameras = [int(model.camera(name).id) for name in settings.cameras]
        self._colours = model.geom_rgba.copy()
        self._lights = model.light_diffuse.copy(), model.light_dir.copy()
        self._places = model.cam_pos.copy(), model.cam_quat.copy()

    def apply(self, seed: int) -> None:
        """Draw the looks of a seed."""
        rng = np.random.default_rng((seed % 2**32, 7))
        if self._settings.colour_shift > 0:
            self._shift_colours(rng, self._settings.colour_shift)
        if self._settings.light_shift > 0:
            self._shift_lights(rng, self._settings.light_shift)
        if self._settings.camera_shift > 0:
            self._shift_cameras(rng, self._settings.camera_shift)

    def _shift_colours(self, rng: np.random.Generator, share: float) -> None:
        for geom in self._geoms:
            own = self._colours[geom, :3]
            self._model.geom_rgba[geom, :3] = (1 - share) * own + share * rng.random(3)

    def _shift_lights(self, rng: np.random.Generator, share: float) -> None:
        diffuse, direction = self._lights
        self._model.light_diffuse[:] = diffuse * np.exp(rng.normal(0, share, (len(diffuse), 1)))
        turned = direction + rng.normal(0, share, direction.shape)
        self._model.light_dir[:] = turned / np.linalg.norm(turned, axis=1, keepdims=True)

    def _shift_cameras(self, rng: np.random.Generator, distance: float) -> None:
        position, orientation = self._places
        for camera in self._cameras:
            self._model.cam_pos[camera] = position[camera] + rng.uniform(-distance, distance, 3)
            turn = np.radians(DEGREES_PER_METRE * rng.uniform(-distance, distance, 3))
            quaternion = orientation[camera].copy()
            mujoco.mju_quatIntegrate(quaternion, turn, 1.0)
            self._model.cam_quat[camera] = quaternion
