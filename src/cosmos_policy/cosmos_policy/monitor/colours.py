"""Colours of values: blue over violet to orange, which also colour-blind eyes can order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

# From blue to orange: both ends stand out from a dark background and from a light table.
ANCHORS = np.array([(0.25, 0.42, 0.85), (0.42, 0.36, 0.75), (0.66, 0.36, 0.62), (0.88, 0.42, 0.34), (1.00, 0.45, 0.00)])
UNKNOWN: Colour = (0.55, 0.55, 0.55)


def value_colour(value: float, low: float = 0.0, high: float = 1.0) -> Colour:
    """Return red, green and blue in [0, 1] of a value between two ends; grey where it is not a number."""
    if not np.isfinite(value):
        return UNKNOWN
    place = float(np.clip((value - low) / max(high - low, 1e-9), 0.0, 1.0)) * (len(ANCHORS) - 1)
    red, green, blue = (np.interp(place, range(len(ANCHORS)), ANCHORS[:, channel]) for channel in range(3))
    return float(red), float(green), float(blue)


def ranked_colours(values: NDArray[np.float64]) -> list[Colour]:
    """Colour candidates from the worst to the best of their plan, whose values often differ in the third digit only."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if high - low < 1e-6:
        low = high - 1.0
    return [value_colour(float(value), low, high) for value in values]
