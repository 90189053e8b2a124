"""Draw the diagrams of the documentation: `tools/run.bash python tools/draw_diagrams.py` writes docs/images/*.svg."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

IMAGES = Path(__file__).parents[1] / "docs" / "images"

INK, QUIET, RED = "#1b2a3a", "#5f6f80", "#b3261e"
BLUE, ORANGE, GREEN, GREY, ROSE, WHITE = "#d6e6f7", "#fbe3c4", "#d8edd6", "#e9ecef", "#fadcd9", "#ffffff"
Point = tuple[float, float]


class Drawing:
    """Boxes and arrows on a white sheet, which reads the same on a light and on a dark page.

    Args:
        width, height: of the sheet [units]; a unit is a fifth of an inch, the origin is at the lower left.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure: Figure = pyplot.figure(figsize=(width / 5, height / 5), facecolor=WHITE)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def box(
        self, x: float, y: float, width: float, height: float, title: str, text: str = "", fill: str = BLUE
    ) -> None:
        """Draw a box with a title, and a smaller text below it."""
        shape = FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.4", facecolor=fill, edgecolor=INK, linewidth=1
        )
        self.axes.add_patch(shape)
        middle, top = x + width / 2, y + height
        if text:
            self.text(middle, top - 0.9, title, bold=True)
            self.text(middle, y + (height - 1.4) / 2, text, size=7.5)
        else:
            self.text(middle, y + height / 2, title, bold=True)

    def arrow(
        self, *points: Point, text: str = "", at: Point = (0, 0), colour: str = INK, dashed: bool = False
    ) -> None:
        """Draw an arrow along straight lines, and a text at a place of its own."""
        style: dict[str, Any] = {"color": colour, "linewidth": 1.2, "linestyle": "--" if dashed else "-"}
        if len(points) > 2:
            xs, ys = zip(*points[:-1], strict=True)
            self.axes.plot(xs, ys, solid_capstyle="round", **style)
        self.axes.add_patch(
            FancyArrowPatch(*points[-2:], arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, **style)
        )
        if text:
            self.text(*at, text, size=7.5, colour=colour)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 8.5,
        bold: bool = False,
        colour: str = INK,
        left: bool = False,
    ) -> None:
        """Write a text around a point, or to the right of it."""
        self.axes.text(
            x,
            y,
            text,
            fontsize=size,
            color=colour,
            fontweight="bold" if bold else "normal",
            ha="left" if left else "center",
            va="center",
            linespacing=1.35,
        )


def latent_sequence() -> Drawing:
    """Eleven latent frames, and which of them each of the three models is given."""
    drawing = Drawing(50, 17)
    first, pitch = 9.5, 3.6
    frames = ("blank", "joints", "left\nwrist", "right\nwrist", "high", "action\nchunk", "joints", "left\nwrist")
    names = (*frames, "right\nwrist", "high", "value")
    fills = (GREY, ORANGE, BLUE, BLUE, BLUE, ORANGE, ORANGE, BLUE, BLUE, BLUE, ORANGE)
    for index, (name, fill) in enumerate(zip(names, fills, strict=True)):
        x = first + index * pitch
        drawing.axes.add_patch(Rectangle((x, 10.6), 3.2, 3, facecolor=fill, edgecolor=INK))
        drawing.text(x + 1.6, 12.1, name)
        drawing.text(x + 1.6, 9.9, str(index), size=7.5, colour=QUIET)
    for begin, end, name in ((1, 4, "now"), (6, 9, "after the chunk")):
        left, right = first + begin * pitch, first + end * pitch + 3.2
        drawing.axes.plot((left, right), (14.3, 14.3), color=QUIET, linewidth=1)
        drawing.text((left + right) / 2, 15.1, name, colour=QUIET)
    drawing.text(0.6, 12.1, "latent frame", left=True)
    _queries(drawing, first, pitch)
    return drawing


def _queries(drawing: Drawing, first: float, pitch: float) -> None:
    rows = (
        ("policy", "GGGGGAAAAAA"),
        ("world model", "GGGGGGAAAAo"),
        ("value V(s')", "GhhhhhGGGGA"),
    )
    looks = {
        "G": (INK, "given", WHITE),
        "A": (GREEN, "answer", INK),
        "o": (WHITE, "not read", QUIET),
        "h": (WHITE, "hidden", QUIET),
    }
    for row, (name, kinds) in enumerate(rows):
        y = 7.2 - 2.5 * row
        drawing.text(0.6, y + 0.9, name, bold=True, left=True)
        for index, kind in enumerate(kinds):
            fill, word, colour = looks[kind]
            x = first + index * pitch
            dashed = ":" if kind in "oh" else "-"
            drawing.axes.add_patch(Rectangle((x, y), 3.2, 1.8, facecolor=fill, edgecolor=INK, linestyle=dashed))
            drawing.text(x + 1.6, y + 0.9, word, size=7, colour=colour)
    drawing.text(
        first,
        0.9,
        "given: fed clean, with time 0.   All others start as noise and are denoised together.",
        size=7.5,
        colour=QUIET,
        left=True,
    )


def graph() -> Drawing:
    """The nodes, and what goes from one to the next."""
    drawing = Drawing(50, 29)
    drawing.axes.add_patch(Rectangle((0.8, 5.6), 11.4, 20.6, facecolor="#f6f8fa", edgecolor=QUIET, linestyle=":"))
    drawing.text(6.5, 27.2, "the robot, or in its place\nthe simulated cell (sim)", size=7.5, colour=QUIET)
    drawing.box(1.8, 19, 9.4, 5, "camera", "one per camera", GREY)
    drawing.box(1.8, 7, 9.4, 5, "arm_driver", "one per arm", GREY)
    drawing.box(20, 17, 9, 8, "planner", "asks, compares,\nchooses a chunk\naction /run_task")
    drawing.box(38.5, 19.6, 10.7, 5.4, "policy", "proposes chunks,\nimagines, values", GREEN)
    drawing.box(38.5, 14.4, 10.7, 4, "scorer", "only if a checkpoint\nof its own is given", GREEN)
    drawing.box(20, 7, 9, 5, "chunk_executor", "runs one chunk in time")
    drawing.box(38.5, 7, 10.7, 5.4, "monitor, live_view,\nepisode_recorder", "", WHITE)
    drawing.box(20, 1, 9, 4, "teleop", "leaders lead", ORANGE)
    drawing.box(1.8, 1, 9.4, 3.4, "emergency_stop", "", ROSE)
    drawing.arrow((11.2, 22.5), (20, 22.5), text="image_raw", at=(15.8, 23.3))
    drawing.arrow((11.2, 11), (15.6, 11), (15.6, 19), (20, 19), text="joint_states", at=(15.8, 19.8))
    drawing.arrow((15.6, 11), (20, 11))
    drawing.arrow((29, 23.5), (38.5, 23.5), text="propose_chunks", at=(33.7, 24.3))
    drawing.arrow((29, 21.5), (38.5, 21.5), text="score_chunks", at=(33.7, 22.3))
    drawing.arrow((33.7, 21.5), (33.7, 16.4), (38.5, 16.4))
    drawing.arrow((29, 18.2), (31.4, 18.2), (31.4, 9.7), (38.5, 9.7), text="/plan_report", at=(35, 10.5))
    drawing.arrow((24.5, 17), (24.5, 12), text="/execute_chunk", at=(27.9, 14.5))
    drawing.arrow((20, 8.4), (11.2, 8.4), text="joint_commands", at=(15.8, 9.2))
    drawing.arrow((20, 3.2), (14.5, 3.2), (14.5, 7.6), (11.2, 7.6), dashed=True)
    others = (
        "aloha_teleop, aloha_record: teleop in place of\nplanner and executor.  aloha_replay: episode_replay\n"
        "in place of the planner."
    )
    drawing.text(30.3, 3, others, size=7.5, colour=QUIET, left=True)
    drawing.arrow((5, 4.4), (5, 7), text="to all that move", at=(8.9, 5), colour=RED)
    return drawing


def safety_chain() -> Drawing:
    """Who hands a motion on, what each refuses, and who can stop it."""
    drawing = Drawing(50, 23)
    drawing.box(
        1,
        18,
        48,
        4,
        "1  Emergency stop",
        "raised by a person or any node; latched; lowered by a person alone.  "
        "Nothing is planned or commanded, both arms hold",
        ROSE,
    )
    links = (
        (
            "4  Planner",
            "images older than\ntwo periods;\npolicy late, failed\nor nonsense",
            "no new chunk;\nrest at the seam",
        ),
        (
            "3  Chunk executor",
            "NaN, wrong joints,\nstale observation,\nfar first action,\nsilent joint states",
            "ends the chunk\nwith a reason",
        ),
        ("2  Arm drivers", "no command for 80 ms,\nsilent bus, motor error,\nfault of the other arm", "both arms hold"),
        ("Motors", "nothing on the bus\nfor 100 ms", "stop and hold,\nwhatever became\nof the driver"),
    )
    handed = ("chunk", "commands", "goals")
    for index, (name, stops, does) in enumerate(links):
        x = 1 + index * 12.8
        drawing.box(x, 5, 9.6, 10.5, name, "", BLUE if index < 3 else GREY)
        drawing.axes.texts[-1].set_y(14.4)
        drawing.text(x + 4.8, 11.4, stops, size=7.3)
        drawing.arrow((x + 4.8, 9.4), (x + 4.8, 8.3), colour=QUIET)
        drawing.text(x + 4.8, 6.8, does, size=7.3, bold=True)
        if index < 3:
            drawing.arrow((x + 4.8, 18), (x + 4.8, 15.5), colour=RED)
            drawing.arrow((x + 9.6, 10.2), (x + 12.8, 10.2), text=handed[index], at=(x + 11.2, 11.1))
    drawing.box(
        1,
        0.8,
        48,
        2.6,
        "The switch of the 12 V supply: the only real emergency stop. An arm without supply falls.",
        "",
        WHITE,
    )
    drawing.arrow((44.2, 3.4), (44.2, 5), colour=RED)
    return drawing


DIAGRAMS: dict[str, Callable[[], Drawing]] = {
    "latent_sequence": latent_sequence,
    "graph": graph,
    "safety_chain": safety_chain,
}


def main() -> None:
    """Write every diagram."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder (docs/images)")
    parser.add_argument("--format", choices=("svg", "png"), default="svg", help="png is for looking at it (svg)")
    options = parser.parse_args()
    pyplot.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "cosmos_policy"})
    for name, draw in DIAGRAMS.items():
        file = options.out / f"{name}.{options.format}"
        metadata = {"Date": None} if options.format == "svg" else None
        draw().figure.savefig(file, dpi=110, metadata=metadata)
        print(f"wrote {file}")


if __name__ == "__main__":
    main()
