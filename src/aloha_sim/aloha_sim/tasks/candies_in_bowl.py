"""Two candies go into a bowl: the scene, and when the task is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from aloha_sim.tasks.base import (
    LEFT,
    RIGHT,
    ExpertOptions,
    Judgement,
    Region,
    Script,
    Stage,
    finger_ids,
    touching,
    upright,
)
from aloha_sim.tasks.bowl import LIFTED, add_bowl, within_bowl
from aloha_sim.tasks.candies_script import CandyWork

CANDY = 0.019
"""[m] Half the edge of a candy."""

COLOURS = {"red_candy": (1.0, 0.05, 0.05, 1.0), "green_candy": (0.05, 0.9, 0.15, 1.0)}

APART = 0.10
"""[m] Smallest distance of the candies: room for an open hand."""


class CandiesInBowl:
    """Success: both candies lie in the bowl and no finger touches them."""

    instruction = "put candies in bowl"
    mjcf = "bimanual_viperx_transfer_cube.xml"
    objects: Mapping[str, str] = {name: f"{name}_joint" for name in COLOURS}
    region = Region((-0.18, 0.18), (0.36, 0.5))
    stages = ("none lifted", "one lifted", "one in the bowl", "one in the bowl, one lifted", "all in the bowl")
    max_steps = 250
    coloured = tuple(COLOURS)
    resumes = True

    def build(self, spec: mujoco.MjSpec) -> None:
        """Take the cube out, put candies and a bowl in."""
        for key in list(spec.keys):
            spec.delete(key)  # it counts the cube's coordinates
        spec.delete(spec.body("box"))
        for name, colour in COLOURS.items():
            body = spec.worldbody.add_body(name=name, pos=[0, 0.4, 0.05])
            joint = body.add_joint(name=self.objects[name], type=mujoco.mjtJoint.mjJNT_FREE)
            joint.frictionloss = 0.01  # without it a free body never comes to rest
            body.mass, body.inertia, body.explicitinertial = 0.05, [0.002] * 3, True  # as the published cube
            body.ipos, body.iquat = [0, 0, 0], [1, 0, 0, 0]  # else the centre of mass is the body's place in the world
            body.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[CANDY] * 3,
                rgba=colour,
                condim=4,
                friction=[1, 0.005, 0.0001],
                solimp=[2, 1, 0.01, 0.5, 2],
                solref=[0.01, 1],
            )
        add_bowl(spec)

    def place(self, seed: int, region: Region) -> Mapping[str, np.ndarray]:
        """Draw two places that leave room for a hand between them."""
        rng = np.random.default_rng(seed)
        low, high = np.transpose([region.x, region.y])
        first = second = rng.uniform(low, high)
        while np.linalg.norm(second - first) < min(APART, 0.9 * float(np.linalg.norm(high - low))):
            first, second = rng.uniform(low, high), rng.uniform(low, high)
        yaws = rng.uniform(region.yaw[0], region.yaw[1], 2)
        starts = (upright(xy[0], xy[1], CANDY + 0.002, yaw) for xy, yaw in zip((first, second), yaws, strict=True))
        return dict(zip(self.objects, starts, strict=True))

    def judge(self, model: mujoco.MjModel) -> Callable[[mujoco.MjData], Judgement]:
        """Count candies in the bowl and off the table."""
        candies = [int(model.geom(name).id) for name in COLOURS]
        fingers = {finger for arm in finger_ids(model) for finger in arm}

        def judge(data: mujoco.MjData) -> Judgement:
            positions = data.geom_xpos[candies]
            within = within_bowl(positions)
            inside = [bool(w) and fingers.isdisjoint(touching(data, c)) for w, c in zip(within, candies, strict=True)]
            lifted = any(z > LIFTED and not done for z, done in zip(positions[:, 2], inside, strict=True))
            count = sum(inside)
            stage = 4 if count == len(candies) else 2 * count + lifted
            return Judgement(stage, count == len(candies), count / len(candies))

        return judge

    def scripts(self, stage: Stage, options: ExpertOptions, rng: np.random.Generator) -> tuple[Script, Script]:
        """Share the candies that are left between the arms, in some order."""
        work = CandyWork.begin(stage, list(self.objects), options, rng)
        return work.arm(LEFT), work.arm(RIGHT)
