"""Draw one decision so that a person sees what was chosen, among what, why, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.evaluation.report.decision import Decision
from cosmos_policy_core.evaluation.report.figures import CHOSEN, OTHERS, STACK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

SHOWN_JOINTS = 4  # those on which the candidates differ most
WIDTH = 13.0
ZOOM = 0.25  # values closer together than this get the whole range of colours


def decision_figure(decision: Decision) -> Figure:
    """Draw a decision on one page; parts without data are left out."""
    plan = decision.plan
    rows = ["values", "table", "chunks", "times"]
    heights = [3.4, 1.1 + 0.28 * len(plan.values), 2.8, 2.2]
    if not decision.evaluated.size:
        rows, heights = rows[:1] + rows[2:], heights[:1] + heights[2:]
    if decision.states:
        rows.insert(-1, "tree")
        heights.insert(-1, 2.8)
    if plan.imagined:
        rows.append("imagined")
        heights.append(2.6)
    figure = new_figure(WIDTH, sum(heights) + 1.2)
    figure.suptitle(f"{headline(decision)}\n{circumstances(decision)}", fontsize=12)
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for name, part in zip(rows, parts, strict=True):
        if name == "chunks":
            _draw_chunks(list(part.subplots(1, SHOWN_JOINTS, squeeze=False)[0]), decision)
        elif name == "imagined":
            _draw_images(list(part.subplots(1, len(plan.imagined), squeeze=False)[0]), decision)
        else:
            draw = {"values": _draw_values, "table": _draw_table, "tree": _draw_tree, "times": _draw_times}[name]
            draw(part.subplots(), decision)
    return figure


def headline(decision: Decision) -> str:
    """Say in one line what was chosen and how sure that is."""
    plan, count = decision.plan, len(decision.plan.values)
    if plan.planner == "direct" or not decision.evaluated.any():
        return (
            f"Plan {plan.index}: the policy's own chunk ({decision.completed if count > 1 else 'nothing to compare'})"
        )
    others = np.delete(plan.values, plan.chosen)
    best = np.nanmax(others) if np.isfinite(others).any() else np.nan
    lead = (
        "" if np.isnan(best) else f", {plan.value - best:+.{3 if plan.value - best >= 1e-3 else 5}f} to the next best"
    )
    return f"Plan {plan.index}: candidate {plan.chosen} of {count}, value {plan.value:.3f}{lead} ({decision.completed})"


def circumstances(decision: Decision) -> str:
    """Say in two lines how the plan was made."""
    plan, total = decision.plan, decision.spent + decision.saved
    limit = f" of {decision.limit:.2f} s" if decision.limit else ""
    policy, world = decision.checkpoints
    by = f"{decision.aggregation}, success above {decision.threshold:.3f}, preset {decision.preset}; "
    return (
        f"{plan.instruction}; planned in {decision.duration:.2f} s{limit}, mode {plan.mode}\n"
        f"{by if decision.aggregation else ''}{decision.spent} of {total} values predicted; "
        f"policy {policy}{f', world model {world}' if world not in ('', policy) else ''}"
    )


def _draw_values(axes: Axes, decision: Decision) -> None:
    """Every prediction as a dot, coloured by future; the candidate's score as a bar."""
    plan, (n, futures, members) = decision.plan, decision.values.shape
    scores = np.nan_to_num(plan.values, nan=0.0)
    colours = [CHOSEN if k == plan.chosen else "0.85" for k in range(n)]
    axes.bar(range(n), scores, color=colours, width=0.8, zorder=1)
    for future in range(futures):
        place = np.linspace(-0.28, 0.28, futures)[future] if futures > 1 else 0.0
        for k in range(n):
            row = decision.values[k, future]
            axes.plot(
                k + place + np.linspace(-0.04, 0.04, members), row, "o", ms=3.5, color=f"C{future % 10}", zorder=3
            )
    for k in range(n):
        known = int(decision.evaluated[k].sum())
        words = f"{plan.values[k]:.3f}" if np.isfinite(plan.values[k]) else "no score"
        note = f"\n{known} of {futures * members}" if futures * members and known < futures * members else ""
        axes.annotate(words + note, (k, -0.02), va="top", ha="center", fontsize=8, annotation_clip=False)
    if futures:
        axes.axhline(decision.threshold, color="0.3", lw=0.8, ls="--", zorder=2)
        axes.annotate("success", (n - 0.45, decision.threshold), fontsize=8, color="0.3", va="bottom", ha="right")
    what = "leaf" if decision.states else "future"
    title = f"Score of every candidate (bar) and its value predictions (dots, a colour per {what})"
    axes.set(title=title if futures else "The policy's own value of its chunk", ylabel="value", ylim=(-0.16, 1.04))
    axes.set_xticks(range(n), [f"candidate {k}" + (" (chosen)" if k == plan.chosen else "") for k in range(n)])
    axes.tick_params(axis="x", length=0, pad=2)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_table(axes: Axes, decision: Decision) -> None:
    """The table of values: rows are candidates, columns members by future; what was left out is hatched."""
    n, futures, members = decision.values.shape
    flat, known = decision.values.reshape(n, -1), decision.evaluated.reshape(n, -1)
    low, high = _colour_range(flat)
    axes.set_facecolor("0.93")
    image = axes.imshow(np.ma.masked_invalid(flat), aspect="auto", cmap="RdYlGn", vmin=low, vmax=high)
    axes.figure.colorbar(image, ax=axes, pad=0.01, label="value")
    for k, column in np.argwhere(~known):
        axes.text(column, k, "·", ha="center", va="center", color="0.5")
    for k, column in np.argwhere(known & np.isnan(flat)):
        axes.text(column, k, "failed", ha="center", va="center", color="tab:red", fontsize=7)
    for k, column in np.argwhere(np.isfinite(flat)) if flat.size <= 200 else ():
        place = (flat[k, column] - low) / (high - low)
        colour = "black" if 0.15 < place < 0.85 else "white"
        words = f"{flat[k, column]:.{2 if high - low > ZOOM else 3}f}"
        axes.text(column, k, words, ha="center", va="center", fontsize=7, color=colour)
    for future in range(1, futures):
        axes.axvline(future * members - 0.5, color="white", lw=3)
    chosen = decision.plan.chosen
    axes.add_patch(_frame(chosen, futures * members))
    what = "leaf" if decision.states else "future"
    axes.set_xticks(
        [(future + 0.5) * members - 0.5 for future in range(futures)], [f"{what} {f}" for f in range(futures)]
    )
    axes.set_yticks(range(n))
    axes.tick_params(length=0)
    left_out = "" if known.all() else "; dots: left out, because they could not change the choice or time was up"
    axes.set(title=f"Values by {what} and member{left_out}", ylabel="candidate")


def _colour_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """The whole range of values, or that of these where they are nearly alike."""
    known = values[np.isfinite(values)]
    if known.size == 0 or np.ptp(known) > ZOOM:
        return 0.0, 1.0
    middle, half = float(known.min() + known.max()) / 2, max(float(np.ptp(known)) / 2, 1e-3)
    return middle - half, middle + half


def _frame(row: int, columns: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((-0.5, row - 0.5), columns, 1, fill=False, ec=CHOSEN, lw=2.5, clip_on=False)


def _draw_chunks(panels: list[Axes], decision: Decision) -> None:
    """The joints on which the candidates differ most."""
    plan = decision.plan
    difference = np.ptp(plan.candidates, axis=0).max(axis=0)
    times = decision.period * np.arange(1, plan.candidates.shape[1] + 1)
    for axes, joint in zip(panels, np.argsort(-difference)[:SHOWN_JOINTS], strict=False):
        for k, chunk in enumerate(plan.candidates):
            if k != plan.chosen:
                axes.plot(times, chunk[:, joint], color=OTHERS, lw=0.8, alpha=0.8)
        axes.plot(times, plan.actions[:, joint], color=CHOSEN, lw=2.2)
        axes.set_title(decision.joints[joint], fontsize=9)
        axes.set_xlabel("s", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("joints that differ most\nrad; gripper 0..1", fontsize=9)


def _draw_tree(axes: Axes, decision: Decision) -> None:
    """Imagined states by depth and value; the chosen candidate's paths on top."""
    states, chosen = decision.states, decision.plan.chosen
    for place, state in sorted(enumerate(states), key=lambda pair: pair[1].candidate == chosen):
        ours = state.candidate == chosen
        colour, size = (CHOSEN, 7) if ours else (OTHERS, 4)
        before = 0.0 if state.parent is None else states[state.parent].depth
        value = state.value if state.parent is None else states[state.parent].value
        axes.plot([before, state.depth], [value, state.value], color=colour, lw=1.8 if ours else 0.7, zorder=2 + ours)
        axes.plot(state.depth, state.value, "o", color=colour, ms=size, zorder=3 + ours)
        if ours and place >= 0 and state.depth == 1:
            axes.annotate(
                f"candidate {chosen}", (state.depth, state.value), fontsize=8, xytext=(4, 4), textcoords="offset points"
            )
    axes.set_xticks(range(max(state.depth for state in states) + 1))
    axes.set(title="Imagined states: mean value by depth", xlabel="chunks ahead", ylabel="value")
    axes.grid(alpha=0.3)


def _draw_times(axes: Axes, decision: Decision) -> None:
    """One bar: where the time went; below it, who valued what."""
    left = 0.0
    for number, stage in enumerate(STACK):
        seconds = decision.plan.stages.get(stage, 0.0)
        if seconds > 0:
            axes.barh(0, seconds, left=left, color=f"C{number}", label=f"{stage} {1e3 * seconds:.0f} ms")
            left += seconds
    if decision.limit:
        axes.axvline(decision.limit, color="black", lw=1.2, ls="--")
    axes.set(title="Wall time" + (" (dashed: the time it had)" if decision.limit else ""))
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_ylim(-1.6, 0.6)
    axes.legend(ncols=7, loc="lower left", frameon=False, fontsize=8)
    told = [
        f"{share.scorer}: candidates {', '.join(map(str, share.candidates))} in {share.seconds:.2f} s"
        + ("" if share.outcome == "answered" else f", {share.outcome}")
        for share in decision.shares
    ]
    axes.set_xlabel("s" + "".join(f"\n{line}" for line in told), fontsize=8)


def _draw_images(panels: list[Axes], decision: Decision) -> None:
    """What the model imagined after the chosen chunk."""
    for axes, pixels in zip(panels, decision.plan.imagined, strict=True):
        axes.imshow(pixels)
        axes.set_axis_off()
    panels[0].set_title("Imagined after the chosen chunk", loc="left", fontsize=10)
