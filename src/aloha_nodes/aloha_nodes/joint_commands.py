"""What every receiver of joint commands refuses, whatever moves the joints behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence


def objection(names: Sequence[str], positions: Sequence[float], known: Sequence[str]) -> str:
    """Say why a command cannot be meant, or return an empty string.

    Args:
        names: of the commanded joints, in any order.
        positions: [rad], same order.
        known: the joints of the arm.
    """
    if len(names) != len(positions) or not len(names):
        return f"{len(names)} names but {len(positions)} positions; send one position per name"
    if len(set(names)) != len(names):
        return f"a joint is named twice in {list(names)}; name each once"
    unknown = [name for name in names if name not in known]
    if unknown:
        return f"unknown joints {unknown}; the arm has {list(known)}"
    if not all(math.isfinite(position) for position in positions):
        return f"positions are not finite: {[float(position) for position in positions]}; send radians"
    return ""
