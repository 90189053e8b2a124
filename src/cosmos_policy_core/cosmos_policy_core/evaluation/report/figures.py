"""Drawings of a run, each a pure function of axes and data; panels without data say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cosmos_policy_core.evaluation.report.plans import STAGES, PlanRecord
from cosmos_policy_core.evaluation.report.run import Comparison, RunRecord, execution_end, execution_start

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOSEN, OTHERS = "tab:orange", "0.55"
# The order in which stages happen, which is not that of their constants.
STACK = ("observe", "encode", "propose", "imagine", "evaluate", "decode", "decide")
assert set(STACK) == set(STAGES)
# Joints whose traces tell the story, without filling the page.
SHOWN = ("waist", "shoulder", "elbow", "gripper")


def new_figure(width: float, height: float) -> Figure:
    """Make a figure that belongs to no window, so that any thread may draw on it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_candidates(axes: Axes, plans: Sequence[PlanRecord]) -> None:
    """Draw every candidate's value and the spread of its predictions, the choice ringed."""
    axes.set(title="Candidates of every plan: value, spread of its predictions, and the choice")
    axes.set(xlabel="plan", ylabel="value", ylim=(-0.03, 1.05))
    axes.set_xticks([plan.index for plan in plans])
    axes.grid(alpha=0.3)
    for plan in plans:
        count = len(plan.values)
        places = plan.index + (np.linspace(-0.3, 0.3, count) if count > 1 else np.zeros(1))
        axes.errorbar(places, plan.values, yerr=plan.spread, fmt="o", color=OTHERS, ms=5, lw=1, capsize=2)
        axes.plot(places[plan.chosen], plan.value, "o", color=CHOSEN, ms=10, mfc="none", mew=2.5)
    _say_if_empty(axes, plans, "no plan was made")


def draw_value_over_time(axes: Axes, run: RunRecord) -> None:
    """Draw the value of the choices over time, between the worst and the best candidate of each plan."""
    axes.set(title="Value of the choice over time, within the range of the candidates")
    axes.set(xlabel="time [s]", ylabel="value")
    axes.grid(alpha=0.3)
    plans = [plan for plan in run.plans if np.isfinite(plan.values).any()]
    times = np.array([plan.made - run.began for plan in plans])
    if plans:
        low, high = (np.array([function(plan.values) for plan in plans]) for function in (np.nanmin, np.nanmax))
        axes.fill_between(times, low, high, color=OTHERS, alpha=0.3, lw=0, label="all candidates")
        axes.plot(times, [plan.value for plan in plans], "o-", color=CHOSEN, label="chosen")
        axes.legend(frameon=False)
    _say_if_empty(axes, plans, "nothing was valued")


def draw_latency(axes: Axes, plans: Sequence[PlanRecord]) -> None:
    """Stack the wall time of the stages of every plan."""
    axes.set(title="Wall time of every plan", xlabel="s", ylabel="plan")
    axes.set_yticks([plan.index for plan in plans])
    axes.invert_yaxis()
    left = np.zeros(len(plans))
    for number, stage in enumerate(STACK):
        widths = np.array([plan.stages.get(stage, 0.0) for plan in plans])
        if widths.any():
            axes.barh([plan.index for plan in plans], widths, left=left, color=f"C{number}", label=stage)
            left = left + widths
    if left.any():
        axes.legend(ncols=len(STACK), loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)
    _say_if_empty(axes, plans, "no plan was made")


def draw_joints(axes: Axes, run: RunRecord) -> None:
    """Draw some measured joints, the chosen chunks on top, and when the arms waited for a plan."""
    axes.set(title="Measured joints (lines) and the chosen chunks (dashes); grey: planning")
    axes.set(xlabel="time [s]", ylabel="rad; gripper 0 closed .. 1 open")
    axes.grid(alpha=0.3)
    if not _say_if_empty(axes, run.states.times, "no joint state was recorded"):
        return
    names, contract = run.contract.joint_names, run.contract
    for plan in run.plans:
        axes.axvspan(plan.observed - run.began, plan.made - run.began, color="0.92")
    for number, k in enumerate(k for k, name in enumerate(names) if name.rsplit("/", 1)[-1] in SHOWN):
        colour = f"C{number}"
        axes.plot(run.states.times - run.began, run.states.values[:, k], color=colour, lw=1.4, label=names[k])
        for plan in run.plans:
            steps = min(contract.executed_steps, len(plan.actions))
            targets = execution_start(plan) - run.began + contract.period * np.arange(1, steps + 1)
            axes.plot(targets, plan.actions[:steps, k], color=colour, lw=1.0, ls="--", alpha=0.7)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=8)


def draw_tracking_error(axes: Axes, run: RunRecord) -> None:
    """Draw how far every joint was from its command, with the largest of all on top; grippers are left out."""
    axes.set(title="Joint tracking error |measured - commanded|, grippers left out")
    axes.set(xlabel="time [s]", ylabel="rad")
    axes.grid(alpha=0.3)
    error = run.tracking_error()
    if not _say_if_empty(axes, error.times, "no commands and states at the same time"):
        return
    times = error.times - run.began
    axes.plot(times, error.values, lw=0.7, alpha=0.5)
    worst = error.values.max(axis=1)
    axes.plot(times, worst, color="black", lw=1.2, label="largest of all joints")
    for share in (50, 99):
        level = float(np.percentile(worst, share))
        axes.axhline(level, color="black", lw=0.8, ls=":", label=f"p{share}: {level:.3f} rad")
    for plan in run.plans:
        axes.axvspan(
            execution_start(plan) - run.began, execution_end(plan, run.contract) - run.began, color="C0", alpha=0.06
        )
    axes.legend(frameon=False, fontsize=8)


def comparison_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Put seen, imagined and real pictures side by side: one row per plan, three columns per camera."""
    plans = sorted({comparison.plan for comparison in comparisons})
    cameras = list(dict.fromkeys(comparison.camera for comparison in comparisons))
    columns = 3 * max(1, len(cameras))
    figure = new_figure(1.75 * columns, 2.1 * max(1, len(plans)) + 0.5)
    grid = figure.subplots(max(1, len(plans)), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for comparison in comparisons:
        row, first = plans.index(comparison.plan), 3 * cameras.index(comparison.camera)
        pictures = (("seen", comparison.seen), ("imagined", comparison.imagined), ("came true", comparison.came))
        for offset, (what, pixels) in enumerate(pictures):
            axes = grid[row, first + offset]
            axes.imshow(pixels)
            words = {0: f"plan {comparison.plan}, {comparison.camera}\n{what}", 1: f"\n{what}"}.get(offset)
            axes.set_title(words or f"\n{what} (error {comparison.error:.1%})", fontsize=8, loc="left")
    if not comparisons:
        grid[0, 0].text(0.0, 0.5, "nothing was imagined, or nothing recorded after it")
    return figure


def run_figures(run: RunRecord) -> dict[str, Figure]:
    """Draw everything of a run, by name."""
    figures = {}
    height = max(2.5, 0.28 * len(run.plans) + 1.6)
    for name, size, draw in (
        ("value_over_time", (10.0, 3.2), draw_value_over_time),
        ("joints", (10.0, 4.5), draw_joints),
        ("tracking_error", (10.0, 3.4), draw_tracking_error),
    ):
        figures[name] = new_figure(*size)
        draw(figures[name].subplots(), run)
    for name, size, draw_plans in (
        ("candidates", (10.0, 3.4), draw_candidates),
        ("latency", (10.0, height), draw_latency),
    ):
        figures[name] = new_figure(*size)
        draw_plans(figures[name].subplots(), run.plans)
    figures["imagined"] = comparison_figure(run.comparisons)
    order = ("imagined", "value_over_time", "candidates", "latency", "joints", "tracking_error")
    return {name: figures[name] for name in order}


def _say_if_empty(axes: Axes, data: Sequence[object] | np.ndarray, words: str) -> bool:
    """Write on a panel why it is empty; return whether it has data."""
    if len(data) == 0:
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center")
    return len(data) > 0
