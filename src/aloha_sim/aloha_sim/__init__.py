"""The ALOHA cell in MuJoCo: a gymnasium environment, and a ROS 2 node that stands in for cameras and arms."""

import os
import sys

from gymnasium.envs.registration import register

# MuJoCo reads the variable once, when it is imported; without a display only EGL (or OSMesa) can draw.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")

MAX_STEPS = 300
"""Control steps (12 s) after which an episode is truncated; `gymnasium.make(..., max_episode_steps=)` changes it."""

register(
    id="aloha_sim/TransferCube-v0",
    entry_point="aloha_sim.env:AlohaEnv",
    max_episode_steps=MAX_STEPS,
    kwargs={"task": "transfer_cube"},
)
