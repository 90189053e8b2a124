"""Evaluations as pictures: how often, how long, and where the failures got stuck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cosmos_policy_core.evaluation.intervals import wilson
from cosmos_policy_core.evaluation.report.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TrialRow:
    """One trial: control steps it took, plans, their wall time [s], and the stage it reached."""

    seed: int
    success: bool
    steps: int
    plans: int
    plan_seconds: float
    best_stage: int


def draw_success(axes: Axes, evaluations: Mapping[str, Sequence[TrialRow]]) -> None:
    """Draw success rates with their 95 % Wilson intervals."""
    axes.set(title="Success, with 95 % intervals", xlabel="success rate", xlim=(0.0, 1.02))
    axes.set_yticks(range(len(evaluations)), list(evaluations))
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
    for row, trials in enumerate(evaluations.values()):
        wins, count = sum(trial.success for trial in trials), len(trials)
        rate, (low, high) = wins / count, wilson(wins, count)
        axes.barh(row, rate, color="C0", alpha=0.7, height=0.5)
        # Rounding must not turn an interval's end around.
        axes.errorbar(rate, row, xerr=[[max(0.0, rate - low)], [max(0.0, high - rate)]], color="black", capsize=4)
        axes.annotate(f"{wins} of {count}", (0.02, row), va="center", color="white", fontsize=9)


def draw_lengths(axes: Axes, evaluations: Mapping[str, Sequence[TrialRow]]) -> None:
    """Draw the share of trials that had succeeded after a number of control steps."""
    axes.set(title="Trials that had succeeded after so many control steps", xlabel="control steps", ylabel="share")
    axes.set_ylim(0.0, 1.02)
    axes.grid(alpha=0.3)
    longest = max(trial.steps for trials in evaluations.values() for trial in trials)
    for name, trials in evaluations.items():
        steps = sorted(trial.steps for trial in trials if trial.success)
        shares = np.arange(len(steps) + 1) / len(trials)
        axes.step([0, *steps, longest], [*shares, shares[-1]], where="post", label=name)
    axes.legend(frameon=False)


def draw_thinking(axes: Axes, evaluations: Mapping[str, Sequence[TrialRow]]) -> None:
    """Draw the wall time of plans, one box per evaluation."""
    axes.set(title="Wall time of a plan", xlabel="s")
    times = [[trial.plan_seconds / max(trial.plans, 1) for trial in trials] for trials in evaluations.values()]
    axes.boxplot(times, orientation="horizontal", widths=0.5, tick_labels=list(evaluations), showfliers=False)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")


def trial_figures(evaluations: Mapping[str, Sequence[TrialRow]]) -> dict[str, Figure]:
    """Draw everything of some evaluations, by name."""
    height, figures = 0.5 * len(evaluations) + 1.4, {}
    for name, size, draw in (
        ("success", (9.0, height), draw_success),
        ("lengths", (9.0, 3.2), draw_lengths),
        ("thinking", (9.0, height), draw_thinking),
    ):
        figures[name] = new_figure(*size)
        draw(figures[name].subplots(), evaluations)
    return figures


def trial_table(evaluations: Mapping[str, Sequence[TrialRow]]) -> list[list[str]]:
    """Say the same in numbers, the first row being the heading."""
    rows = [["evaluation", "success", "95 % interval", "steps (median)", "plan (median)", "failed seeds"]]
    for name, trials in evaluations.items():
        wins = sum(trial.success for trial in trials)
        low, high = wilson(wins, len(trials))
        steps = [trial.steps for trial in trials if trial.success]
        seconds = float(np.median([trial.plan_seconds / max(trial.plans, 1) for trial in trials]))
        failed = ", ".join(
            str(trial.seed) for trial in sorted(trials, key=lambda trial: trial.seed) if not trial.success
        )
        rows.append(
            [
                name,
                f"{wins} of {len(trials)}",
                f"{low:.0%} to {high:.0%}",
                f"{np.median(steps):.0f}" if steps else "-",
                f"{seconds:.2f} s",
                failed or "none",
            ]
        )
    return rows
