"""The cell as a gymnasium environment at the policy's rate, in ALOHA's 14-D convention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from aloha_sim.cell import PREFIXES, Cell
from aloha_sim.expert import Expert, ExpertOptions, Move

PAUSE = 0.5
"""[s] Physics time after a reset, before the first observation: objects drop and come to rest."""


@dataclass(frozen=True)
class Snapshot:
    """An instant of an episode; good for the environment and the reset that it was taken in."""

    physics: np.ndarray
    target: np.ndarray
    success: bool
    best_stage: int
    score: float


class AlohaEnv(gymnasium.Env[dict[str, Any], np.ndarray]):
    """Two arms do a task of the cell, 25 times a second.

    Action (14,): per arm 6 absolute joint targets [rad] and the gripper (0 closed, 1 open; motor angle normalised);
    left arm first. Within a step the target moves in a straight line from the last one, refreshed at command_rate.

    Observation: "proprio" (14,) f64, joints [rad] and grippers (finger position normalised); "images" {camera:
    (H, W, 3) uint8}, absent with render=False.

    Reward: the stage of the task, 0 to 4. Info: "success" (the task was accomplished at some step of this episode),
    "success_score" (the largest share of it so far, 0 to 1), "done" (it is accomplished now), "stage", "best_stage",
    "object_poses" (n, 7), "time" [s].

    Args:
        render: draw the cameras at every step.
        terminate_on_success: end the episode at the first success; data recording wants False.
        settings: fields of `CellSettings`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  (gymnasium's own convention)

    def __init__(
        self, *, render: bool = True, terminate_on_success: bool = True, render_mode: str | None = None, **settings: Any
    ) -> None:
        self.cell = Cell(**settings)
        self.render_mode = render_mode
        self._draw = render
        self._terminate = terminate_on_success
        self._expert: Expert | None = None
        self._ticks = round(self.cell.settings.command_rate / self.cell.settings.control_rate)
        self._target = self.cell.start_action
        self._success, self._best_stage, self._score = False, 0, 0.0
        joints = np.array([np.pi, 1.85005, 1.76278, np.pi, 2.23402, np.pi])
        high = np.tile(np.append(joints, 1.0), 2)
        low = np.tile(np.append(-joints, 0.0), 2)
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float64)
        shape = (self.cell.settings.image_height, self.cell.settings.image_width, 3)
        cameras = self.cell.settings.cameras if render else ()
        picture = gymnasium.spaces.Box(0, 255, shape, dtype=np.uint8)
        seen: dict[str, gymnasium.Space[Any]] = {
            "proprio": gymnasium.spaces.Box(-np.inf, np.inf, (14,), dtype=np.float64)
        }
        if cameras:
            seen["images"] = gymnasium.spaces.Dict(dict.fromkeys(cameras, picture))
        self.observation_space = gymnasium.spaces.Dict(seen)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put everything to its start. The seed fixes the scene; options: {"pause": seconds before the observation}."""
        super().reset(seed=seed)
        cube_seed = int(self.np_random.integers(2**32)) if seed is None else seed
        self.cell.reset(cube_seed, pause=float((options or {}).get("pause", PAUSE)))
        self._target = self.cell.start_action
        self._success, self._best_stage, self._score = False, 0, 0.0
        return self.observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Move for one control period."""
        goal = np.array(action, dtype=np.float64)
        if goal.shape != (14,) or not np.isfinite(goal).all():
            raise ValueError(f"action: needs 14 finite numbers, got shape {goal.shape}: {goal}.")
        last = self._target
        for tick in range(1, self._ticks + 1):
            self.cell.command_action(last + (goal - last) * tick / self._ticks)
            self.cell.advance(1 / self.cell.settings.command_rate)
        self._target = goal
        info = self._info()
        return self.observe(), float(info["stage"]), self._terminate and self._success, False, info

    def hold(self, seconds: float) -> dict[str, Any]:
        """Let time pass with the last target frozen, as on the robot while its planner thinks; return what is seen."""
        self.cell.advance(seconds)
        return self.observe()

    def snapshot(self) -> Snapshot:
        """Remember this instant of the episode, to try several actions from it."""
        return Snapshot(self.cell.snapshot(), self._target.copy(), self._success, self._best_stage, self._score)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to an instant of this episode."""
        self.cell.restore(snapshot.physics)
        self._target = snapshot.target.copy()
        self._success, self._best_stage, self._score = snapshot.success, snapshot.best_stage, snapshot.score

    def observe(self, images: bool | None = None) -> dict[str, Any]:
        """Return the present observation; `images` draws the cameras or not, whatever `render` says."""
        observation: dict[str, Any] = {"proprio": self.cell.proprio()}
        if self._draw if images is None else images:
            observation["images"] = self.cell.images()
        return observation

    def expert(
        self, seed: int | tuple[int, ...] | np.random.Generator | None = None, options: ExpertOptions | None = None
    ) -> Iterator[Move]:
        """Begin a demonstration of the scripted expert; call it right after `reset`, or later where the task resumes.

        Make every move before asking for the next: the expert of some tasks looks at what became of it.

        Raises:
            ValueError: the arms have moved since the reset, and the task's scripts only begin at the start.
        """
        if not (self.cell.task.resumes or np.array_equal(self._target, self.cell.start_action)):
            raise ValueError(
                f"the expert of {self.cell.settings.task} begins at the start only. Reset the environment."
            )
        if self._expert is None:
            cell = self.cell
            self._expert = Expert(cell.model, PREFIXES, cell.start_action, cell.task, cell.object_pose)
        return self._expert.demonstrate(options or ExpertOptions(), np.random.default_rng(seed), self._target)

    def render(self) -> np.ndarray:
        """Draw the last camera of the settings (cam_high): (H, W, 3) uint8."""
        return self.cell.render(self.cell.settings.cameras[-1])

    def close(self) -> None:
        """Free the renderer."""
        self.cell.close()

    def _info(self) -> dict[str, Any]:
        judgement = self.cell.judge()
        self._success = self._success or judgement.done
        self._best_stage = max(self._best_stage, judgement.stage)
        self._score = max(self._score, judgement.score)
        return {
            "success": self._success,
            "success_score": self._score,
            "done": judgement.done,
            "stage": judgement.stage,
            "best_stage": self._best_stage,
            "object_poses": self.cell.object_poses,
            "time": self.cell.time,
        }
