"""Closed-loop trials through the chunk executor's own code, with time spent planning: what a seam costs per mode."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import (
    ActionSpace,
    Activity,
    Chunk,
    ChunkExecutor,
    ExecutorSettings,
    JointStates,
    Mode,
    Run,
)
from cosmos_policy_core.execution.handover import due_position
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.planner import Planner

Vector = NDArray[np.float64]

BEGIN = 1.0  # [s] on the trial's clock; an observation at 0 would count as one without a stamp
WINDOW = 0.5  # [s] that count as a seam, two periods of it before
HAND_OVER = 3  # periods before the seam at which a plan with a deadline must be there


@dataclass(frozen=True)
class Thinking:
    """How long plans take in the cell, log-normal; what the simulation itself takes does not count."""

    median: float = 0.8  # [s]
    spread: float = 0.4  # of the logarithm: one plan in twenty takes twice the median
    lead: float = 1.2  # [s] before the seam at which a plan is begun while the arms move

    def draw(self, rng: np.random.Generator) -> float:
        """Draw the time of one plan [s]."""
        return float(self.median * np.exp(self.spread * rng.standard_normal()))


class Allowance:
    """Budget of one plan on the trial's clock, on which every denoising step takes equally long.

    Args:
        limit: seconds for the plan; unlimited by default, to count its steps.
        step: what a step takes [s].
    """

    def __init__(self, limit: float = math.inf, step: float = 0.0) -> None:
        self.steps, self._limit, self._step = 0, limit, step
        self.budget = Budget(self._remaining if limit < math.inf else None, self._begin_step)

    def _begin_step(self) -> bool:
        """Count a step: before each, a planner asks whether the plan is still wanted. It is."""
        self.steps += 1
        return False

    def _remaining(self) -> float:
        return self._limit - self.steps * self._step


class Answer(NamedTuple):
    """A plan on its way to the executor; times are on the trial's clock [s]."""

    ready: float
    observed: float
    actions: Vector  # [K, A]


@dataclass(frozen=True)
class Seam:
    """A plan that took over after the first; times since the first [s]."""

    time: float
    observed: float
    gap: float  # between the command and what the new chunk wanted at that moment, without grippers [rad]
    run: Run


@dataclass
class TimedTrial:
    """How one trial went; times are [s]."""

    seed: int
    success: bool = False
    seconds: float = 0.0  # from the first chunk to the success, or to the end
    idle: float = 0.0  # of these, at rest between chunks
    plans: int = 0
    fallbacks: int = 0  # plans that ran out of time and gave the best choice so far
    refusals: list[str] = field(default_factory=list)
    seams: list[Seam] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    commands: list[Vector] = field(default_factory=list)  # (A,) one per time


class TimedRollout:
    """Run trials of one mode.

    Args:
        environment: a cell made with `render=False` and the contract's command rate as its control rate, so that one
            of its steps is one command.
    """

    def __init__(
        self,
        environment: Any,
        contract: Embodiment,
        planner: Planner,
        mode: Mode,
        thinking: Thinking,
        max_seconds: float = 12.0,
    ) -> None:
        self._environment, self._cell = environment, environment.unwrapped
        self._planner, self._mode, self._thinking, self._max_seconds = planner, mode, thinking, max_seconds
        self._settings = ExecutorSettings.from_contract(contract)
        self._space = ActionSpace.from_contract(contract)

    def run(self, seed: int) -> TimedTrial:
        """Plan and execute until success or out of time."""
        self._trial, self._rng = TimedTrial(seed), np.random.default_rng(seed)
        self._environment.reset(seed=seed)
        self._executor, self._states = ChunkExecutor(self._settings), JointStates(self._space)
        self._now, self._last = BEGIN, np.array(self._cell.cell.start_action)
        self._run: Run | None = None
        self._steps = 1  # of the last plan that had all the time
        self._answer: Answer | None = self._plan(0.0)  # the trial's clock starts with the first plan
        while not self._trial.success and self._now - BEGIN < self._max_seconds:
            self._see()
            if self._answer is not None and self._answer.ready <= self._now + 1e-9:
                self._take_over(self._answer)
                self._answer = None
            if self._answer is None and self._should_plan():
                self._answer = self._plan(self._thinking.draw(self._rng))
            self._tick()
        self._trial.seconds = self._now - BEGIN
        return self._trial

    def _see(self) -> None:
        for index in range(len(self._space.arms)):
            state = self._cell.cell.joint_state(index)
            self._states.update(index, self._now, state.names, state.position)

    def _left(self) -> float:
        """Time until the seam: the end of the running chunk [s]."""
        run = self._run
        if run is None or run.outcome is not None:
            return 0.0
        return (run.steps - run.steps_dropped - run.steps_executed) * self._settings.period

    def _should_plan(self) -> bool:
        """Tell whether it is time: at rest as in the paper, or `lead` before the seam."""
        left = self._left()
        return left == 0.0 or (self._mode is not Mode.HOLD and left <= self._thinking.lead + 1e-9)

    def _plan(self, seconds: float) -> Answer:
        seen = self._cell.observe(images=True)
        instruction = self._cell.cell.settings.instruction
        observation = Observation(images=seen["images"], proprio=seen["proprio"], instruction=instruction)
        limit = max(self._left() - HAND_OVER * self._settings.period, 0.0)
        cut = self._mode is Mode.DEADLINE and seconds > limit > 0.0
        allowance = Allowance(limit, seconds / self._steps) if cut else Allowance()
        plan = self._planner.decide(observation, self._trial.seed, self._trial.plans, budget=allowance.budget)
        if cut:
            seconds = limit
            self._trial.fallbacks += 1
        else:
            self._steps = max(allowance.steps, 1)
        self._trial.plans += 1
        return Answer(self._now + seconds, self._now, np.asarray(plan.actions, dtype=np.float64))

    def _take_over(self, answer: Answer) -> None:
        settings, actions = self._settings, answer.actions
        chunk = Chunk(settings.joint_names, settings.period, len(actions), actions.reshape(-1), answer.observed)
        run = self._executor.start(chunk, self._now, self._states, mode=self._mode)
        if run.outcome is not None:
            self._trial.refusals.append(run.message)
            return
        if self._run is not None:
            gap = np.abs(due_position(actions, run.steps_dropped * settings.period, settings.period) - self._last)
            gap[list(settings.grippers)] = 0.0
            self._trial.seams.append(Seam(self._now - BEGIN, answer.observed - BEGIN, float(gap.max()), run))
        self._run = run

    def _tick(self) -> None:
        """Let one command period pass."""
        self._now += self._settings.command_period
        command = self._executor.tick(self._now, self._states)
        if command is not None:
            self._last = command.copy()
        _, _, _, _, info = self._environment.step(self._last)
        self._trial.success = bool(info["success"])
        self._trial.idle += self._settings.command_period * (self._executor.activity is not Activity.RUNNING)
        self._trial.times.append(self._now - BEGIN)
        self._trial.commands.append(self._last)


def accelerations(commands: list[Vector], period: float, grippers: tuple[int, ...]) -> Vector:
    """Largest |acceleration| over the joints per command, without grippers: (N,) [rad/s^2]."""
    joints = np.delete(np.array(commands), grippers, axis=1)
    inner = np.abs(np.diff(joints, n=2, axis=0)).max(axis=1) / period**2
    return np.pad(inner, 1, mode="edge")


def summarise(trials: list[TimedTrial], settings: ExecutorSettings) -> dict[str, Any]:
    """Numbers of one mode: seams, rest, success. Accelerations are peaks within half a second [rad/s^2]."""
    seams = [seam for trial in trials for seam in trial.seams]
    at_seams, inside = [], []
    for trial in trials:
        peaks = _peaks(trial, settings)
        at_seams += peaks[0]
        inside += peaks[1]
    wins = [trial for trial in trials if trial.success]
    gaps = [seam.gap for seam in seams]
    return {
        "episodes": len(trials),
        "successes": len(wins),
        "success_rate": round(len(wins) / len(trials), 4),
        "idle_share": round(sum(trial.idle for trial in trials) / sum(trial.seconds for trial in trials), 4),
        "seconds_to_success_median": _quantile([trial.seconds for trial in wins], 0.5),
        "seams": len(seams),
        "seam_acceleration_median": _quantile(at_seams, 0.5),
        "seam_acceleration_max": _quantile(at_seams, 1.0),
        "inside_acceleration_median": _quantile(inside, 0.5),
        "inside_acceleration_max": _quantile(inside, 1.0),
        "gap_median": _quantile(gaps, 0.5),
        "gap_max": _quantile(gaps, 1.0),
        "unblended_acceleration_median": _quantile([gap / settings.command_period**2 for gap in gaps], 0.5),
        "dropped_median": _quantile([seam.run.steps_dropped for seam in seams], 0.5),
        "blended_median": _quantile([seam.run.steps_blended for seam in seams], 0.5),
        "plans": sum(trial.plans for trial in trials),
        "late": sum(seam.run.mode is Mode.HOLD for seam in seams),
        "fallbacks": sum(trial.fallbacks for trial in trials),
        "refusals": sum(len(trial.refusals) for trial in trials),
    }


def _peaks(trial: TimedTrial, settings: ExecutorSettings) -> tuple[list[float], list[float]]:
    """Peak acceleration at each seam, the stop before a rest included, and in the windows that hold no seam."""
    felt = accelerations(trial.commands, settings.command_period, settings.grippers)
    times = np.array(trial.times)
    free = np.ones(len(times), dtype=bool)
    at_seams = []
    for seam in trial.seams:
        stop = seam.time - seam.run.idle
        near = (times >= stop - 2 * settings.period) & (times <= seam.time + WINDOW - 2 * settings.period)
        at_seams.append(float(felt[near].max(initial=0.0)))
        free &= ~near
    width = round(WINDOW / settings.command_period)
    starts = range(width, len(felt) - width, width)  # without the first start, which belongs to no mode
    inside = [float(felt[i : i + width].max()) for i in starts if free[i : i + width].all()]
    return at_seams, inside


def _quantile(values: list[float], q: float) -> float | None:
    return round(float(np.quantile(values, q)), 3) if values else None
