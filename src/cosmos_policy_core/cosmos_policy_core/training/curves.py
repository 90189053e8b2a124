"""Training curves as a picture."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Series = dict[str, list[tuple[int, float]]]

STYLES = {"demo_sample": "-", "world_model_sample": "--", "value_function_sample": ":"}
"""A kind of sample has a line style, a modality a colour: the same colour is the same quantity."""

PANELS = (
    ("loss", ("loss",), "log"),
    ("latent L1 by sample kind and modality", ("*_l1_loss",), "log"),
    ("held-out action L1 (normalised)", ("held_out_action_l1", "held_out_mean_chunk_l1"), "log"),
    ("held-out value: L1, and AUC of success", ("held_out_value",), "linear"),
)
"""Title, how the names of its curves begin (or end, after a star), and scale of every panel."""


def plot_curves(table: Path, picture: Path) -> None:
    """Draw what a `curves.csv` holds: loss, latent L1 per modality, held-out action error and value."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    series = _read(table)
    figure, axes = plt.subplots(1, len(PANELS), figsize=(20, 5.5), constrained_layout=True)
    for axis, (title, patterns, scale) in zip(axes, PANELS, strict=True):
        names = [name for name in series if any(_matches(name, pattern) for pattern in patterns)]
        colours = _colours(names)
        for name in names:
            kind, quantity = _split(name)
            label = name.removeprefix("held_out_").removesuffix("_l1_loss")
            style = "--" if "mean_chunk" in name else STYLES.get(kind, "-")
            axis.plot(*zip(*series[name], strict=True), label=label, color=colours[quantity], linestyle=style)
        axis.set(title=title, xlabel="training step", yscale=scale)
        axis.grid(alpha=0.3)
        if names:  # below the axes: there it covers no curve
            axis.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def _read(table: Path) -> Series:
    series: Series = defaultdict(list)
    with table.open() as file:
        for step, name, value in csv.reader(file):
            series[name].append((int(step), float(value)))
    return series


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name.startswith(pattern)


def _split(name: str) -> tuple[str, str]:
    """Return the kind of sample and the quantity that a curve's name consists of."""
    kind = next((each for each in STYLES if name.startswith(each)), "")
    return kind, name.removeprefix(kind).replace("mean_chunk", "action")


def _colours(names: Iterable[str]) -> dict[str, Any]:
    quantities = dict.fromkeys(_split(name)[1] for name in names)
    return {quantity: f"C{index}" for index, quantity in enumerate(quantities)}
