"""Draw the plans of a demonstration: values and choices, where the time went, what the joints did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cosmos_policy.demo.history import History
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.figures import draw_candidates, draw_joints, draw_latency, new_figure
from cosmos_policy_core.evaluation.report.run import RunRecord, Trace, no_trace


def draw_timeline(history: History, contract: Embodiment, path: Path, title: str) -> None:
    """Write a PNG with three panels; panels without data say so."""
    run = RunRecord(title, contract, tuple(history.plans), _states(history, contract), no_trace(contract.action_dim))
    figure = new_figure(11, 11)
    candidates, latency, joints = figure.subplots(3, 1, height_ratios=(3, 2.2, 4))
    figure.suptitle(title)
    draw_candidates(candidates, run.plans)
    draw_latency(latency, run.plans)
    draw_joints(joints, run)
    figure.savefig(path, dpi=110)


def _states(history: History, contract: Embodiment) -> Trace:
    if not history.states:
        return no_trace(contract.proprio_dim)
    return Trace(np.array([stamp for stamp, _ in history.states]), np.stack([state for _, state in history.states]))
