"""The world model held against the truth, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cosmos_policy_core.evaluation.intervals import wilson
from cosmos_policy_core.evaluation.report.figures import new_figure
from cosmos_policy_core.evaluation.truth import Fate, Sight, by_plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 6  # of equal counts
COLUMNS = ("seen", "imagined", "came true")


def draw_calibration(axes: Axes, fates: Sequence[Fate]) -> None:
    """Draw how often candidates succeeded, by the value that was predicted of them."""
    axes.set(title="Calibration: outcome by predicted value", xlabel="predicted value", ylabel="share that succeeded")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    ordered = sorted(fates, key=lambda fate: fate.predicted)
    for part in np.array_split(np.arange(len(ordered)), min(BINS, len(ordered))):
        group = [ordered[index] for index in part]
        wins, count = sum(fate.success for fate in group), len(group)
        low, high = wilson(wins, count)
        place, rate = float(np.mean([fate.predicted for fate in group])), wins / count
        axes.errorbar(
            place, rate, yerr=[[max(0.0, rate - low)], [max(0.0, high - rate)]], fmt="o", color="C0", capsize=3
        )
        true = float(np.mean([fate.true_value for fate in group]))
        axes.plot(place, true, "s", color="C1", ms=5)
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    axes.plot([], [], "o", color="C0", label="succeeded (95 % interval)")
    axes.plot([], [], "s", color="C1", label="true discounted value")
    axes.legend(frameon=False, loc="upper left", fontsize=8)


def draw_ranking(axes: Axes, fates: Sequence[Fate]) -> None:
    """Draw every plan's candidates by predicted value: successes above, failures below, the valued best ringed."""
    from matplotlib.ticker import MaxNLocator

    axes.set(title="Candidates of every plan, the best valued ringed", xlabel="plan", ylabel="predicted value")
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    for number, group in enumerate(by_plan(fates)):
        for success, colour, shift in ((True, "tab:green", -0.15), (False, "tab:red", 0.15)):
            values = [fate.predicted for fate in group if fate.success is success]
            axes.plot([number + shift] * len(values), values, "o", color=colour, ms=4, alpha=0.7)
        best = max(group, key=lambda fate: fate.predicted)
        place = number + (-0.15 if best.success else 0.15)
        axes.plot(place, best.predicted, "o", color="black", ms=9, mfc="none")
    axes.plot([], [], "o", color="tab:green", ms=4, label="succeeded")
    axes.plot([], [], "o", color="tab:red", ms=4, label="failed")
    axes.legend(frameon=False, fontsize=8)


def draw_image_errors(axes: Axes, fates: Sequence[Fate], cameras: Sequence[str]) -> None:
    """Draw the pixel error of imagined futures between its floor and doing nothing."""
    axes.set(title="Pixel error of imagined futures", ylabel="mean absolute error [% of range]")
    axes.set_xticks(range(len(cameras)), list(cameras))
    axes.grid(alpha=0.3, axis="y")
    kinds = (("image_floor", "tokenizer alone"), ("image_error", "imagined"), ("image_still", "had nothing moved"))
    for number, (name, words) in enumerate(kinds):
        heights = 100 * np.mean([getattr(fate, name) for fate in fates], axis=0)
        axes.bar(np.arange(len(cameras)) + 0.26 * (number - 1), heights, width=0.24, label=words)
    axes.legend(frameon=False, fontsize=8)


def draw_proprio_errors(axes: Axes, fates: Sequence[Fate]) -> None:
    """Draw the error of imagined proprioception against the distance really moved."""
    axes.set(title="Proprioception: error of the imagined future", xlabel="distance moved, RMS [rad]")
    axes.set_ylabel("error, RMS [rad]")
    axes.grid(alpha=0.3)
    moved, error = ([getattr(fate, name) for fate in fates] for name in ("proprio_still", "proprio_error"))
    axes.plot(moved, error, ".", color="C0", alpha=0.6)
    end = max(moved, default=1.0)
    axes.plot([0, end], [0, end], color="0.6", lw=0.8, ls="--", label="had nothing moved")
    axes.legend(frameon=False, fontsize=8)


def truth_figures(fates: Sequence[Fate], sights: Sequence[Sight], cameras: Sequence[str]) -> dict[str, Figure]:
    """Draw everything, by name."""
    figure = new_figure(11.0, 7.5)
    (first, second), (third, fourth) = figure.subplots(2, 2)
    draw_calibration(first, fates)
    draw_ranking(second, fates)
    whole = [fate for fate in fates if fate.whole] or fates
    draw_image_errors(third, whole, cameras)
    draw_proprio_errors(fourth, whole)
    return {"truth": figure, "sights": sights_figure(sights, cameras)}


def sights_figure(sights: Sequence[Sight], cameras: Sequence[str]) -> Figure:
    """Put before, imagined and real pictures side by side: one row per candidate, three columns per camera."""
    figure = new_figure(1.5 * 3 * len(cameras), 1.75 * max(1, len(sights)) + 0.4)
    grid = figure.subplots(max(1, len(sights)), 3 * len(cameras), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, sight in enumerate(sights):
        for camera, name in enumerate(cameras):
            for column, pictures in enumerate((sight.seen, sight.imagined, sight.came)):
                axes = grid[row, 3 * camera + column]
                axes.imshow(pictures[camera])
                words = f"{name}\n{COLUMNS[column]}" if column == 0 else f"\n{COLUMNS[column]}"
                axes.set_title(words, fontsize=7, loc="left")
        fate = "succeeded" if sight.success else "failed"
        grid[row, 0].text(
            -0.08,
            0.5,
            f"seed {sight.seed}, plan {sight.plan}\nvalue {sight.predicted:.2f}, {fate}",
            rotation=90,
            va="center",
            ha="right",
            fontsize=6,
            transform=grid[row, 0].transAxes,
        )
    return figure
