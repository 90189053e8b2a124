"""The ALOHA cell in MuJoCo: a gymnasium environment, and a ROS 2 node that stands in for cameras and arms."""

import os
import sys

from gymnasium.envs.registration import register

# MuJoCo reads the variable once, when it is imported; without a display only EGL (or OSMesa) can draw.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")

from aloha_sim.tasks import TASKS, gym_id

for _name in TASKS:
    register(
        id=gym_id(_name),
        entry_point="aloha_sim.env:AlohaEnv",
        max_episode_steps=TASKS[_name].max_steps,
        kwargs={"task": _name},
    )
