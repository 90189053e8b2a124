"""Show a running demonstration in the terminal."""

from __future__ import annotations

import time
from types import TracebackType

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cosmos_policy.demo.history import History
from cosmos_policy_core.evaluation.report.plans import PlanRecord

WIDTH = 88


class Display:
    """Live panel in a terminal; one line per change of phase everywhere else."""

    def __init__(self, history: History, title: str, console: Console) -> None:
        self.stage = "starting"
        self._history, self._title, self._console = history, title, console
        self._began = time.monotonic()
        self._told = ""
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, stage: str) -> None:
        """Name what is going on."""
        self.stage = stage
        self.tell()

    def tell(self) -> None:
        """Print a line when something changed; for consoles that cannot redraw."""
        line = self._line()
        if not self._console.is_terminal and line != self._told:
            self._told = line
            self._console.print(f"[{time.monotonic() - self._began:5.1f} s] {line}", highlight=False, markup=False)

    def _line(self) -> str:
        history = self._history
        if self.stage != "running":
            return self.stage
        plan = history.plan
        if history.phase_name == "executing" and plan is not None and plan.index == history.plan_index:
            return f"plan {plan.index}: executing candidate {plan.chosen} of {len(plan.values)}"
        return f"plan {history.plan_index}: {history.waiting_for or history.phase_name}"

    def render(self) -> RenderableType:
        """Draw the panel of this moment."""
        history = self._history
        head = Text(f"{time.monotonic() - self._began:6.1f} s   {self._line()}", style="bold")
        parts: list[RenderableType] = [head]
        if history.steps:
            done = history.step + 1 if history.phase_name == "executing" else 0
            parts += [Text(f"action {done:2d} of {history.steps}"), ProgressBar(history.steps, done, width=WIDTH - 6)]
        if history.plan is not None:
            parts += [Text(), plan_table(history.plan)]
        return Panel(Group(*parts), title=self._title, width=WIDTH)


def plan_table(plan: PlanRecord) -> Table:
    """Show values of the candidates and times of the stages side by side."""
    table = Table(box=None, show_edge=False, pad_edge=False)
    table.add_column("candidate", justify="right")
    table.add_column("value")
    table.add_column("")
    table.add_column(f"plan {plan.index}", style="dim")
    table.add_column("s", justify="right", style="dim")
    stages = list(plan.stages.items())
    for row in range(max(len(plan.values), len(stages))):
        stage, wall = stages[row] if row < len(stages) else ("", None)
        cells = _candidate_cells(plan, row) if row < len(plan.values) else ("", "", "")
        style = "bold yellow" if row == plan.chosen else ""
        table.add_row(*(Text(cell, style=style) for cell in cells), stage, "" if wall is None else f"{wall:.3f}")
    return table


def _candidate_cells(plan: PlanRecord, k: int) -> tuple[str, str, str]:
    value = plan.values[k]
    if not np.isfinite(value):
        return str(k), "not valued", ""
    bar = "█" * round(24 * float(np.clip(value, 0, 1)))
    return str(k), f"{value:.3f}", f"{bar} chosen" if k == plan.chosen else bar
