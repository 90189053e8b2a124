"""Training curves as a picture."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path


def plot_curves(table: Path, picture: Path) -> None:
    """Draw the loss, the latent L1 per modality and the held-out action error of a `curves.csv`."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with table.open() as file:
        for step, name, value in csv.reader(file):
            series[name].append((int(step), float(value)))
    figure, axes = plt.subplots(1, 3, figsize=(15, 4), constrained_layout=True)
    groups = (
        ("loss", [name for name in series if name == "loss"]),
        ("latent L1 by sample kind and modality", [name for name in series if name.endswith("_l1_loss")]),
        (
            "held-out action L1 (normalised)",
            [name for name in series if name.startswith(("held_out_action", "held_out_mean_chunk"))],
        ),
    )
    for axis, (title, names) in zip(axes, groups, strict=True):
        for name in names:
            label = name.removeprefix("held_out_").removesuffix("_l1_loss")
            axis.plot(*zip(*series[name], strict=True), label=label, linestyle="--" if "mean_chunk" in name else "-")
        axis.set(title=title, xlabel="training step", yscale="log")
        axis.grid(alpha=0.3)
        if names:
            axis.legend(fontsize=7)
    figure.savefig(picture, dpi=120)
    plt.close(figure)
