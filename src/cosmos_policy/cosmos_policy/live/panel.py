"""Buttons, words, pictures and curves beside the scene."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray
from viser import uplot

from cosmos_policy.live.operator import Operator
from cosmos_policy.monitor.account import Account, PlanPoint
from cosmos_policy.monitor.colours import ranked_colours
from cosmos_policy.monitor.words import status_lines
from cosmos_policy_core.evaluation.report.plans import PlanRecord

MOST_CHUNKS = 6
WIDTH = 400  # [px] of the panel with pictures
EMPTY = np.full((120, 160, 3), 30, dtype=np.uint8)
CURVES = ("worst", "best", "chosen")  # the choice above the others
HINT = "Start the graph with `imagined_images:=true` to see what is imagined."
QUESTION = "Is the cause cleared, and is everybody away from the arms? Nothing moves until a new goal."
STROKES = ("#888888", "#3a9d5d", "#ff9d00")


class Panel:
    """Two panels: what the operator decides with on the left, what the model sees on the right."""

    def __init__(self, server: viser.ViserServer, operator: Operator, cameras: Sequence[str], instruction: str) -> None:
        self._server, self._operator = server, operator
        self._state: tuple[str, bool, bool, bool] | None = None
        gui = server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        gui.main_panel.dock_left()
        # Buttons above everything that changes its height: none may move away under a finger.
        self._add_stop(gui)
        self._add_task(gui, instruction)
        self._status = gui.add_html("")
        self._told = gui.add_markdown("")
        panel = gui.add_panel()
        with panel.add_tab("Cameras"):
            self._cameras = {name: gui.add_image(EMPTY, label=name) for name in cameras}
        with panel.add_tab("Imagined"):
            self._imagined_hint = gui.add_markdown(HINT)
            self._imagined = gui.add_image(EMPTY, visible=False)
        with panel.add_tab("Plans"):
            self._candidates = gui.add_html("")
            self._values = gui.add_uplot(**_curves(CURVES, STROKES, "value of each plan", (0.0, 1.05)))
            self._seconds = gui.add_uplot(**_curves(("seconds",), ("#6aa5ff",), "wall time of each plan [s]", None))
        panel.dock_right()
        panel.set_width(WIDTH)

    # What is shown ------------------------------------------------------------------------------------------------

    def show_state(self, account: Account) -> None:
        """Write the state, and offer what can be done in it."""
        words, stopped, cell = _status_html(account), bool(account.stopped), self._operator.cell_is_there
        state = (words, account.running, stopped, cell)
        if state == self._state:
            return  # every change is drawn anew in every browser
        self._state = state
        self._status.content = words
        self._start.disabled = account.running or stopped
        self._cancel.disabled = not account.running
        self._release.disabled = not stopped
        self._reset.disabled = not cell or account.running

    def show_plan(self, plan: PlanRecord, timeline: Sequence[PlanPoint]) -> None:
        """Show a decision and its place in the timeline."""
        self._candidates.content = _candidates_html(plan)
        if not self._instruction.value:
            self._instruction.value = plan.instruction  # type: ignore[misc]
        points = list(timeline)
        number = np.arange(len(points), dtype=np.float64)
        columns = [[point.lowest, point.highest, point.value] for point in points]
        values = np.nan_to_num(np.asarray(columns, dtype=np.float64), nan=0.0)
        self._values.data = (number, *values.T)
        self._seconds.data = (number, np.asarray([point.seconds for point in points]))

    def show_camera(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Show a camera's newest image."""
        self._cameras[name].image = pixels

    def show_silence(self, name: str, seconds: float | None) -> None:
        """Mark a camera that has sent nothing for a while; infinite: never; None: it sends."""
        label = name
        if seconds is not None:
            label += f": nothing for {seconds:.0f} s, the picture is old" if math.isfinite(seconds) else ": nothing yet"
        if self._cameras[name].label != label:
            self._cameras[name].label = label

    def show_imagined(self, pixels: NDArray[np.uint8]) -> None:
        """Show what was imagined."""
        self._imagined_hint.visible = False
        self._imagined.visible = True
        self._imagined.image = pixels

    def tell(self, words: str) -> None:
        """Say what became of a button."""
        self._told.content = html.escape(words)

    # What can be done ---------------------------------------------------------------------------------------------

    def _add_stop(self, gui: viser.GuiApi) -> None:
        stop = gui.add_button("EMERGENCY STOP", color="red", icon=viser.Icon.HAND_STOP)
        stop.on_click(lambda _: self._operator.raise_stop())
        self._release = gui.add_button("Release the stop ...", color="gray", disabled=True)
        self._release.on_click(self._confirm_release)

    def _add_task(self, gui: viser.GuiApi, instruction: str) -> None:
        with gui.add_folder("Task"):
            self._instruction = gui.add_text("instruction", instruction)
            self._chunks = gui.add_number("chunks at most", MOST_CHUNKS, min=1, max=1000, step=1)
            self._seed = gui.add_number("seed", 0, min=0, max=2**31 - 1, step=1)
            self._start = gui.add_button("Start", color="green", icon=viser.Icon.PLAYER_PLAY)
            self._cancel = gui.add_button("Cancel", icon=viser.Icon.PLAYER_STOP, disabled=True)
            self._reset = gui.add_button("Reset the simulated cell", color="gray", disabled=True)
        self._start.on_click(self._on_start)
        self._cancel.on_click(lambda _: self._operator.cancel())
        self._reset.on_click(lambda _: self._operator.reset_cell(int(self._seed.value), self._take_instruction))

    def _on_start(self, _: Any) -> None:
        self._operator.start(self._instruction.value, int(self._chunks.value), int(self._seed.value))

    def _take_instruction(self, instruction: str) -> None:
        self._instruction.value = instruction  # type: ignore[misc]  # its setter stands apart

    def _confirm_release(self, event: viser.GuiEvent[Any]) -> None:
        """Ask once more, and only the person who clicked."""
        if event.client is None:
            return
        gui = event.client.gui
        with gui.add_modal("Release the emergency stop?") as dialogue:
            gui.add_markdown(QUESTION)
            yes = gui.add_button("Release", color="red")
            no = gui.add_button("Keep it raised", color="gray")

        def release(_: Any) -> None:
            self._operator.release_stop()
            dialogue.close()

        yes.on_click(release)
        no.on_click(lambda _: dialogue.close())


def _curves(
    names: Sequence[str], strokes: Sequence[str], title: str, limits: tuple[float, float] | None
) -> dict[str, Any]:
    series = [uplot.Series(label="plan")]
    for name, stroke in zip(names, strokes, strict=True):
        series.append(uplot.Series(label=name, stroke=stroke, width=2))
    scales = {"x": uplot.Scale(time=False)}
    if limits is not None:
        scales["y"] = uplot.Scale(range=limits)
    nothing = np.zeros(1)
    return {
        "data": (nothing,) * (len(names) + 1),
        "series": tuple(series),
        "scales": scales,
        "title": title,
        "height": 180,
    }


def _status_html(account: Account) -> str:
    colour = "#777" if account.stop is None else "#e03131" if account.stop else "#2f9e44"
    styles = {"emergency stop": f"color:{colour};font-weight:bold"}
    rows = "".join(
        f"<tr><td style='opacity:.6;padding-right:.8em;vertical-align:top'>{html.escape(heading)}</td>"
        f"<td style='{styles.get(heading, '')}'>{html.escape(what)}</td></tr>"
        for heading, what in status_lines(account)
    )
    return f"<table style='font-size:.85em;margin:.6em'>{rows}</table>"


def _candidates_html(plan: PlanRecord) -> str:
    rows = []
    for k, (value, colour) in enumerate(zip(plan.values, ranked_colours(plan.values), strict=True)):
        paint = "#" + "".join(f"{round(255 * channel):02x}" for channel in colour)
        known = np.isfinite(value)
        width = f"{100 * float(np.clip(value, 0, 1)):.0f}%" if known else "0"
        weight = "font-weight:bold" if k == plan.chosen else "opacity:.75"
        words = (f"{value:.3f}" if known else "not valued") + (" chosen" if k == plan.chosen else "")
        rows.append(
            f"<div style='display:flex;gap:.5em;{weight}'><span style='width:1.5em'>{k}</span>"
            f"<span style='flex:1'><span style='display:block;height:.8em;margin-top:.3em;width:{width};"
            f"background:{paint}'></span></span><span style='width:8em'>{words}</span></div>"
        )
    stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in plan.stages.items())
    return f"<div style='font-size:.85em;margin:.6em'>{''.join(rows)}<p style='opacity:.7'>{stages}</p></div>"
