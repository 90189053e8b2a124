"""Is this chunk fit to be executed, here and now? If not, why, and what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution.settings import ExecutorSettings
from cosmos_policy_core.execution.termination import Termination

Vector = NDArray[np.float64]

PERIOD_TOLERANCE = 1e-5  # [s]: message durations are whole nanoseconds, contracts are fractions
FUTURE_TOLERANCE = 0.5  # [s]: clocks of two machines, or a /clock that is about to arrive


@dataclass(frozen=True)
class Chunk:
    """An action chunk as it was received: nothing in it is trusted yet."""

    joint_names: Sequence[str]
    period: float  # [s]
    horizon: int
    positions: Vector  # row-major [horizon * joints], rad; grippers 0 closed .. 1 open
    observation_stamp: float  # [s]


@dataclass(frozen=True)
class Refusal:
    """Why nothing moves."""

    reason: Termination
    message: str  # what, where, remedy


def check_chunk(chunk: Chunk, steps: int, settings: ExecutorSettings, now: float) -> Refusal | None:
    """Judge a chunk by itself: joints, lengths, numbers, age, limits; None when it is fine.

    Args:
        steps: actions to execute; 0: the contract's number.
        now: [s], on the clock of the observation stamp.
    """
    return (
        _joints(chunk, settings)
        or _length(chunk, steps, settings)
        or _numbers(chunk, settings)
        or _age(chunk, settings, now)
        or _limits(chunk, steps or settings.executed_steps, settings)
    )


def check_distance(first: Vector, pose: Vector, settings: ExecutorSettings) -> Refusal | None:
    """Refuse a first action that is farther from a pose than the contract allows.

    Grippers do not count: one that holds an object is far from its command by intent, and closing it is what the
    velocity limit is for.
    """
    gap = np.abs(first - pose)
    gap[list(settings.grippers)] = 0.0
    worst = int(np.argmax(gap))
    name = settings.joint_names[worst]
    if gap[worst] <= settings.start_distance:
        return None
    return Refusal(
        Termination.TOO_FAR,
        f"{name}: the first action is {first[worst]:.3f} rad, {gap[worst]:.3f} rad from the arm; "
        f"{settings.start_distance:.3f} rad are allowed. Move the arm to the start pose, or plan from a fresh "
        "observation.",
    )


def _joints(chunk: Chunk, settings: ExecutorSettings) -> Refusal | None:
    got, wanted = list(chunk.joint_names), list(settings.joint_names)
    if got == wanted:
        return None
    missing = [name for name in wanted if name not in got]
    unknown = [name for name in got if name not in wanted]
    if missing or unknown:
        kinds = (("missing", missing), ("unknown", unknown))
        what = "; ".join(f"'{names[0]}' is {kind} ({len(names)} in all)" for kind, names in kinds if names)
    elif len(got) != len(wanted):
        what = f"{len(got)} names for {len(wanted)} joints, some of them twice"
    else:
        place = next(index for index, name in enumerate(wanted) if got[index] != name)
        what = f"joint {place} is '{got[place]}' where the contract has '{wanted[place]}'"
    return Refusal(
        Termination.BAD_JOINTS,
        f"chunk.joint_names: {what}. Send the contract's joints in its order: {', '.join(wanted)}.",
    )


def _length(chunk: Chunk, steps: int, settings: ExecutorSettings) -> Refusal | None:
    expected = settings.horizon * len(settings.joint_names)
    if chunk.horizon != settings.horizon:
        what = f"chunk.horizon: {chunk.horizon} actions. The contract's chunks have {settings.horizon}."
    elif len(chunk.positions) != expected:
        what = (
            f"chunk.positions: {len(chunk.positions)} numbers for a horizon of {chunk.horizon} and "
            f"{len(settings.joint_names)} joints. Send {expected}, action by action."
        )
    elif not abs(chunk.period - settings.period) <= PERIOD_TOLERANCE:
        what = (
            f"chunk.period: {chunk.period:.6g} s between actions. The contract's is {settings.period:.6g} s; use a "
            "checkpoint that was trained at this control rate."
        )
    elif steps > settings.horizon:
        what = (
            f"steps: {steps} of {settings.horizon} actions. Ask for at most {settings.horizon}, or 0 for the "
            "contract's number."
        )
    else:
        return None
    return Refusal(Termination.BAD_LENGTH, what)


def _numbers(chunk: Chunk, settings: ExecutorSettings) -> Refusal | None:
    finite = np.isfinite(chunk.positions)
    if finite.all():
        return None
    place = int(np.argmin(finite))
    step, joint = divmod(place, len(settings.joint_names))
    return Refusal(
        Termination.BAD_NUMBERS,
        f"chunk.positions: action {step} of {settings.joint_names[joint]} is {chunk.positions[place]} "
        f"({int((~finite).sum())} such numbers in all). Nothing moved. Check the policy and its dataset statistics.",
    )


def _age(chunk: Chunk, settings: ExecutorSettings, now: float) -> Refusal | None:
    age = now - chunk.observation_stamp
    if chunk.observation_stamp > 0.0 and -FUTURE_TOLERANCE <= age <= settings.max_observation_age:
        return None
    if chunk.observation_stamp <= 0.0:
        what = "it carries none. Copy the stamp of the observation the chunk answers"
    elif age < 0:
        what = f"it lies {-age:.2f} s in the future. Give both nodes one clock (use_sim_time, or synchronised machines)"
    else:
        what = f"it is {age:.2f} s old, {settings.max_observation_age:.2f} s are allowed. Plan from a fresh observation"
    return Refusal(Termination.STALE, f"chunk.observation_stamp: {what}.")


def _limits(chunk: Chunk, count: int, settings: ExecutorSettings) -> Refusal | None:
    actions = chunk.positions.reshape(settings.horizon, -1)[:count]
    excess = np.maximum(settings.lower - actions, actions - settings.upper) - settings.limit_tolerance
    step, joint = (int(index) for index in np.unravel_index(int(np.argmax(excess)), excess.shape))
    if excess[step, joint] <= 0.0:
        return None
    return Refusal(
        Termination.LIMIT,
        f"{settings.joint_names[joint]}: action {step} is {actions[step, joint]:.3f}, beyond its limits "
        f"{settings.lower[joint]:.3f}..{settings.upper[joint]:.3f} by more than the "
        f"{settings.limit_tolerance[joint]:.2f} that clamping may hide. Check the contract's gripper "
        "constants and the checkpoint's dataset statistics.",
    )
