"""Demonstrations by the simulator's scripted expert, made diverse on purpose."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmos_policy_core.data import fields, jpeg
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.seeds import EVALUATION
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, EpisodeError
from cosmos_policy_core.simulated_cell import Looks, make_cell


@dataclass(frozen=True)
class Diversity:
    """How demonstrations differ from the plain script.

    Labels stay clean whatever is drawn here: the action of a step is what the expert meant, not what noise made of it.
    """

    noise: float = 0.015  # standard deviation of the joint noise while executing [rad]
    noise_memory: float = 0.9  # its AR(1) coefficient per control step
    noisy_share: float = 0.5  # of the episodes are executed with noise
    shift_share: float = 0.0  # of the episodes miss the cube by shift_range
    shift_range: tuple[float, float] = (0.02, 0.05)  # [m]
    pause_share: float = 0.5  # of the episodes pause, unrecorded, as a robot does whose planner thinks
    pauses: float = 2.0  # expected pauses at random steps of such an episode; chunk seams pause as well
    pause_range: tuple[float, float] = (0.2, 1.0)  # [s]
    variety: float = 1.0  # of the expert's choices, hesitations and misses, in tasks that leave a choice
    edge_share: float = 0.25  # of the scenes start in the edge region, in tasks that have one
    looks: Looks = field(default_factory=Looks)


@dataclass(frozen=True)
class Regions:
    """Where objects start [m]: everywhere, and at the edge."""

    x: tuple[float, float]
    y: tuple[float, float]
    edge_y: tuple[float, float]


REGIONS = dict.fromkeys(("transfer_cube", "hurried_transfer"), Regions((-0.01, 0.21), (0.39, 0.61), (0.55, 0.61)))
"""Tasks whose demonstrations start 1 cm beyond the task's own range, and more often where policies fail.
The others start where the task says."""


@dataclass(frozen=True)
class Recipe:
    """Everything random about one episode, drawn from its seed alone."""

    seed: int
    edge: bool
    noise: float
    grasp_shift: tuple[float, float]
    pauses: float

    @classmethod
    def draw(cls, seed: int, diversity: Diversity) -> Recipe:
        """Draw the recipe of a seed; every seed has its own stream, so the order of collection does not matter."""
        rng = np.random.default_rng((seed, 0))
        edge, noisy, shifted, paused = rng.random(4)
        length, angle = rng.uniform(*diversity.shift_range), rng.uniform(-np.pi, np.pi)
        shift = (float(length * np.cos(angle)), float(length * np.sin(angle)))
        return cls(
            seed=seed,
            edge=bool(edge < diversity.edge_share),
            noise=diversity.noise if noisy < diversity.noisy_share else 0.0,
            grasp_shift=shift if shifted < diversity.shift_share else (0.0, 0.0),
            pauses=diversity.pauses if paused < diversity.pause_share else 0.0,
        )


def check_seeds(seeds: range) -> None:
    """Refuse seeds that are kept for evaluation.

    Raises:
        ConfigurationError: naming the range that is free.
    """
    if seeds and seeds[0] < EVALUATION.stop and seeds[-1] >= EVALUATION.start:
        first, last = EVALUATION[0], EVALUATION[-1]
        raise ConfigurationError(
            f"--seed {seeds[0]} --episodes {len(seeds)} reaches into the evaluation seeds {first}..{last}. "
            f"Use seeds below {first} or from {last + 1}."
        )


class Lead(Protocol):
    """Who acts before the expert takes over."""

    @property
    def identity(self) -> str:
        """Of the checkpoint that acts."""

    def begin(self, cell: Any, seed: int) -> int:
        """Reset the cell and act for a while without finishing the task; return for how many control steps."""


class Collector:
    """Records expert episodes in the simulated cell of a contract; holds a cell per region.

    Args:
        contract: of a simulated robot.
        diversity: what to draw per episode.
        steps: longest episode [control steps].
        tail: steps recorded after the first success.
        task: of the cell; the contract's own when empty.
        lead: begins every episode, unrecorded; nobody when None.

    Raises:
        SimulatorError: when the cell cannot be made.
    """

    def __init__(
        self,
        contract: Embodiment,
        diversity: Diversity,
        steps: int = 150,
        tail: int = 15,
        task: str = "",
        lead: Lead | None = None,
    ) -> None:
        self._contract, self._diversity, self._lead = contract, diversity, lead
        self._steps, self._tail = steps, tail
        self._quality = contract.images.jpeg_quality or 95
        self._cell = self._make(task)
        regions = REGIONS.get(self._cell.unwrapped.cell.settings.task)
        self._edge_cell = self._cell
        if regions is not None:
            self._cell.close()
            self._cell = self._make(task, object_x_range=regions.x, object_y_range=regions.y)
            self._edge_cell = self._make(task, object_x_range=regions.x, object_y_range=regions.edge_y)

    def _make(self, task: str, **ranges: tuple[float, float]) -> Any:
        changes: dict[str, Any] = {**ranges, **self._diversity.looks.changes}
        changes |= {"render": False, "terminate_on_success": False}  # images are drawn where they are recorded
        return make_cell(self._contract, task, max_episode_steps=self._steps, **changes)

    def record(self, seed: int) -> Episode:
        """Record one episode; a failure of the expert is an episode too, marked as such."""
        recipe = Recipe.draw(seed, self._diversity)
        cell = self._edge_cell if recipe.edge else self._cell
        before: dict[str, str | int] = {}
        if self._lead is None:
            cell.reset(seed=seed)
        else:
            before = {"takeover_from": self._lead.identity, "takeover_step": self._lead.begin(cell, seed)}
        seams = self._seam_pauses(recipe)
        actions, proprio = [], []
        jpegs: dict[str, list[bytes]] = {name: [] for name in self._contract.camera_names}
        succeeded_at: int | None = None
        info: dict[str, Any] = {}
        for step, move in enumerate(cell.unwrapped.expert((seed, 1), self._options(cell, recipe))):
            if succeeded_at is not None and step > succeeded_at + self._tail:
                break
            pause = seams.get(step, move.pause)
            if pause > 0:
                cell.unwrapped.hold(pause)
            observation = cell.unwrapped.observe(images=True)
            actions.append(move.action)
            proprio.append(observation["proprio"])
            for name, frames in jpegs.items():
                frames.append(jpeg.encode(observation["images"][name], self._quality))
            *_, info = cell.step(move.executed)
            if info["success"] and succeeded_at is None:
                succeeded_at = step
        return Episode(
            actions=np.asarray(actions, dtype=np.float32),
            proprio=np.asarray(proprio, dtype=np.float32),
            jpegs=jpegs,
            instruction=cell.unwrapped.cell.settings.instruction,
            success=succeeded_at is not None,
            success_score=float(info["success_score"]),
            seed=seed,
            extra=_extra(recipe, info) | before | self._scene(cell),
        )

    def close(self) -> None:
        """Free the cells."""
        self._cell.close()
        self._edge_cell.close()

    def _scene(self, cell: Any) -> dict[str, Any]:
        looks = self._diversity.looks.changes
        return {"task": cell.unwrapped.cell.settings.task} | ({"domain": json.dumps(looks)} if looks else {})

    def _options(self, cell: Any, recipe: Recipe) -> Any:
        """Fill in the cell's own options class; core knows the simulator only through the contract's id."""
        options = importlib.import_module(type(cell.unwrapped).__module__).ExpertOptions
        return options(
            steps=self._steps,
            grasp_shift=recipe.grasp_shift,
            noise=recipe.noise,
            noise_memory=self._diversity.noise_memory,
            holds=recipe.pauses,
            hold_range=self._diversity.pause_range,
            variety=self._diversity.variety,
        )

    def _seam_pauses(self, recipe: Recipe) -> dict[int, float]:
        """Pauses where a planner would think, between two chunks: step -> [s]."""
        if recipe.pauses <= 0:
            return {}
        rng = np.random.default_rng((recipe.seed, 2))
        executed = self._contract.executed_steps
        steps = range(executed, self._steps, executed)
        return dict(zip(steps, rng.uniform(*self._diversity.pause_range, len(steps)).tolist(), strict=True))


def check_task(paths: Sequence[Path], contract: Embodiment, task: str) -> None:
    """Refuse to add to demonstrations of another task.

    Raises:
        EpisodeError: naming the first episode of another task, or one that cannot be read.
    """
    cell = make_cell(contract, task, render=False)
    settings = cell.unwrapped.cell.settings
    cell.close()
    for path in paths:
        with fields.opened(path) as file:
            instruction = fields.text(file, "task_description", path)
            name = fields.text(file, "task", path) or settings.task  # older demonstrations do not say it
        if (instruction, name) != (settings.instruction, settings.task):
            raise EpisodeError(
                f"{path}: shows '{instruction}' ({name}), not '{settings.instruction}' ({settings.task}). "
                "Give --out a folder of its own."
            )


def _extra(recipe: Recipe, info: dict[str, Any]) -> dict[str, str | bool | int | float]:
    flat: dict[str, str | bool | int | float] = {"policy_name": "scripted expert"}
    for name, value in asdict(recipe).items():
        if isinstance(value, tuple):
            flat |= {f"{name}_{axis}": float(part) for axis, part in zip("xyz", value, strict=False)}
        elif name != "seed":
            flat[name] = value
    return flat | {"stage": int(info["best_stage"])}


def record_all(seeds: range, collector: Collector) -> Iterator[Episode]:
    """Record seed after seed in this process."""
    for seed in seeds:
        yield collector.record(seed)
