"""Draw the plans of a demonstration: values and choices, where the time went, what the joints did."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cosmos_policy.demo.history import History
from cosmos_policy.plans import Plan
from cosmos_policy_core.embodiment import Embodiment

# Joints whose traces tell the story of a transfer, without filling the page.
SHOWN = ("waist", "shoulder", "elbow", "gripper")
STAGES = ("observe", "encode", "propose", "imagine", "evaluate", "decode", "decide")


def draw_timeline(history: History, contract: Embodiment, path: Path, title: str) -> None:
    """Write a PNG with three panels; panels without data say so."""
    figure, (values, stages, joints) = plt.subplots(
        3, 1, figsize=(11, 11), height_ratios=(3, 2.2, 4), layout="constrained"
    )
    figure.suptitle(title)
    _draw_values(values, history.plans)
    _draw_stages(stages, history.plans)
    _draw_joints(joints, history, contract)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_values(axes: Axes, plans: list[Plan]) -> None:
    axes.set_title("Candidates of every plan: aggregated value, spread of its predictions, and the choice")
    axes.set_xlabel("plan")
    axes.set_ylabel("value")
    axes.set_ylim(-0.03, 1.05)
    axes.set_xticks([plan.index for plan in plans])
    axes.grid(alpha=0.3)
    for plan in plans:
        places = plan.index + np.linspace(-0.3, 0.3, len(plan.values)) if len(plan.values) > 1 else [plan.index]
        axes.errorbar(places, plan.values, yerr=plan.spread, fmt="o", color="0.55", ms=5, lw=1, capsize=2)
        axes.plot(places[plan.chosen], plan.values[plan.chosen], "o", color="tab:orange", ms=10, mfc="none", mew=2.5)
    if not plans:
        axes.text(0.5, 0.5, "no plan was made", transform=axes.transAxes, ha="center")


def _draw_stages(axes: Axes, plans: list[Plan]) -> None:
    axes.set_title("Wall time of every plan")
    axes.set_xlabel("s")
    axes.set_ylabel("plan")
    axes.set_yticks([plan.index for plan in plans])
    axes.invert_yaxis()
    left = np.zeros(len(plans))
    for number, stage in enumerate(STAGES):
        widths = np.array([plan.stages.get(stage, 0.0) for plan in plans])
        if widths.any():
            axes.barh([plan.index for plan in plans], widths, left=left, color=f"C{number}", label=stage)
            left = left + widths
    if plans:
        axes.legend(ncols=len(STAGES), loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)


def _draw_joints(axes: Axes, history: History, contract: Embodiment) -> None:
    axes.set_title("Measured joints (lines) and the chosen chunks (dashes); grey: planning")
    axes.set_xlabel("node time since the first state [s]")
    axes.set_ylabel("rad; gripper 0 closed .. 1 open")
    axes.grid(alpha=0.3)
    if not history.states:
        return
    times = np.array([stamp for stamp, _ in history.states])
    traces = np.stack([state for _, state in history.states])
    shown = [k for k, name in enumerate(contract.joint_names) if name.rsplit("/", 1)[1] in SHOWN]
    for plan in history.plans:
        axes.axvspan(plan.made - times[0] - sum(plan.stages.values()), plan.made - times[0], color="0.92")
    for number, k in enumerate(shown):
        colour = f"C{number}"
        axes.plot(times - times[0], traces[:, k], color=colour, lw=1.4, label=contract.joint_names[k])
        for plan in history.plans:
            steps = min(contract.executed_steps, len(plan.actions))
            targets = plan.made - times[0] + contract.period * np.arange(1, steps + 1)
            axes.plot(targets, plan.actions[:steps, k], color=colour, lw=1.0, ls="--", alpha=0.7)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=8)
