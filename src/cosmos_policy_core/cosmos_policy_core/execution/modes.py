"""How a chunk takes over from what the arms are doing."""

from __future__ import annotations

from enum import IntEnum


class Mode(IntEnum):
    """Modes with the numbers of ``ExecuteChunk.action``; a test keeps the two equal.

    HOLD: the arms rested while the plan was made; its first action comes next, whatever the time.
    OVERLAP: the arms moved on while the plan was made; actions whose time has passed are dropped.
    DEADLINE: the same, for a plan that had to be ready when it was needed.
    """

    HOLD = 0
    OVERLAP = 1
    DEADLINE = 2
