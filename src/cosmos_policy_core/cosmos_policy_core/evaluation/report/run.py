"""Everything a report draws of one run: plans, joints and a few pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Trace:
    """(T,) times [s] and (T, A) values in the contract's order."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate at (N,) times; the ends are held."""
        columns = [np.interp(times, self.times, column) for column in self.values.T]
        return np.stack(columns, axis=1)


def no_trace(width: int) -> Trace:
    """Nothing was recorded."""
    return Trace(np.zeros(0), np.zeros((0, width)))


@dataclass(frozen=True)
class Comparison:
    """What one camera saw at a plan, what was imagined of the time after its chunk, and what it saw then."""

    plan: int
    camera: str
    seen: Picture
    imagined: Picture
    came: Picture

    @property
    def error(self) -> float:
        """Mean absolute difference of imagined and real pixels, in shares of the full range."""
        return float(np.abs(self.imagined.astype(np.float64) - fitted(self.came, self.imagined)).mean() / 255)

    @property
    def change(self) -> float:
        """The same difference had nothing been imagined to change: what an imagination must beat."""
        came = fitted(self.came, self.imagined)
        return float(np.abs(fitted(self.seen, self.imagined) - came).mean() / 255)


def fitted(picture: Picture, other: Picture) -> NDArray[np.float64]:
    """Scale a picture to the size of another one."""
    from PIL import Image

    height, width = other.shape[:2]
    if picture.shape[:2] != (height, width):
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
    return picture.astype(np.float64)


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are node time [s]; states are proprioception, commands are actions."""

    title: str
    contract: Embodiment
    plans: tuple[PlanRecord, ...]
    states: Trace
    commands: Trace
    comparisons: tuple[Comparison, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def began(self) -> float:
        """Time that figures count from [s]."""
        firsts = [trace.times[0] for trace in (self.states, self.commands) if len(trace.times)]
        firsts += [plan.observed for plan in self.plans[:1]]
        return float(min(firsts, default=0.0))

    @property
    def moving(self) -> tuple[int, ...]:
        """Indices of the joints whose states and commands are the same quantity: all but grippers."""
        return tuple(k for k, name in enumerate(self.contract.joint_names) if not name.endswith("gripper"))

    def tracking_error(self) -> Trace:
        """(T, joints) of |state - command| [rad] for all joints but grippers, while commands were sent."""
        states, commands = self.states, self.commands
        if not len(states.times) or not len(commands.times):
            return no_trace(len(self.moving))
        inside = (states.times >= commands.times[0]) & (states.times <= commands.times[-1])
        told = commands.at(states.times[inside])
        error = np.abs(states.values[inside] - told)[:, list(self.moving)]
        return Trace(states.times[inside], error)


def execution_start(plan: PlanRecord) -> float:
    """Time at which a plan's first action is due [s]: as found, else by its mode."""
    if plan.started is not None:
        return plan.started
    return plan.observed if plan.mode in ("overlap", "deadline") else plan.made


def execution_end(plan: PlanRecord, contract: Embodiment) -> float:
    """Time at which the last executed action of a plan is reached [s]."""
    return execution_start(plan) + contract.period * min(contract.executed_steps, len(plan.actions))
