"""Trials of the executor's modes as a picture: what was commanded, when a plan was made, what it dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cosmos_policy_core.evaluation.seams import TimedTrial, accelerations
from cosmos_policy_core.execution import ExecutorSettings

PLANNING, RESTING, BLENDING = "#4c78a8", "#e0e0e0", "#f58518"


def draw(trials: Mapping[str, TimedTrial], settings: ExecutorSettings, path: Path) -> None:
    """Draw one trial per mode, one below the other, into a file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 2.4 * len(trials) + 0.6), layout="constrained")
    axes = figure.subplots(len(trials), 1, sharex=True, squeeze=False)[:, 0]
    joint = _liveliest(list(trials.values()), settings)
    for axis, (mode, trial) in zip(axes, trials.items(), strict=True):
        _draw_trial(axis, mode, trial, settings, joint)
    axes[-1].set_xlabel("time since the first chunk [s]")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_trial(axis, mode: str, trial: TimedTrial, settings: ExecutorSettings, joint: int) -> None:  # type: ignore[no-untyped-def]
    times, commands = np.array(trial.times), np.array(trial.commands)
    felt = accelerations(trial.commands, settings.command_period, settings.grippers)
    low, high = commands[:, joint].min(), commands[:, joint].max()
    height = 0.1 * (high - low)
    place = (low - 2 * height, height)
    axis.axvspan(-1.0, -1.0, color=RESTING, label="at rest")
    axis.broken_barh([], place, color=PLANNING, label="a plan is made (number: actions dropped)")
    axis.broken_barh([], place, color=BLENDING, label="blended")
    for seam in trial.seams:
        axis.axvspan(seam.time - seam.run.idle, seam.time, color=RESTING, lw=0)
        axis.broken_barh([(seam.observed, seam.time - seam.observed)], place, color=PLANNING, edgecolor="white")
        axis.broken_barh([(seam.time, seam.run.steps_blended * settings.period)], place, color=BLENDING)
        middle = ((seam.observed + seam.time) / 2, place[0] + height / 2)
        axis.annotate(str(seam.run.steps_dropped), middle, ha="center", va="center", fontsize=7, color="white")
    axis.plot(times, commands[:, joint], color="black", lw=1.4, label=f"command, {settings.joint_names[joint]}")
    axis.set_ylabel(f"{mode}\n[rad]")
    axis.set_xlim(left=-0.05)
    other = axis.twinx()
    other.plot(times, felt, color="#b279a2", lw=0.7, alpha=0.8)
    other.set_ylim(0.0, 160.0)
    other.set_ylabel("acceleration\n[rad/s²]", color="#b279a2", fontsize=8)
    other.tick_params(labelsize=7, colors="#b279a2")
    what = f"success after {trial.seconds:.1f} s" if trial.success else f"no success in {trial.seconds:.0f} s"
    axis.set_title(f"{what}; {trial.idle / trial.seconds:.0%} at rest", fontsize=9, loc="right")


def _liveliest(trials: list[TimedTrial], settings: ExecutorSettings) -> int:
    """Index of the joint that travels most."""
    travel = np.sum([np.abs(np.diff(np.array(trial.commands), axis=0)).sum(axis=0) for trial in trials], axis=0)
    travel[list(settings.grippers)] = 0.0
    return int(np.argmax(travel))
