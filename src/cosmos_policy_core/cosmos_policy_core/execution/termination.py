"""Every way the execution of a chunk can end."""

from __future__ import annotations

from enum import IntEnum


class Termination(IntEnum):
    """Reasons with the numbers of ``ExecuteChunk.action``; a test keeps the two equal."""

    COMPLETED = 0
    CANCELLED = 1
    REPLACED = 2
    BAD_NUMBERS = 3
    BAD_JOINTS = 4
    BAD_LENGTH = 5
    STALE = 6
    TOO_FAR = 7
    LIMIT = 8
    STATES_LOST = 9
    EMERGENCY_STOP = 10
    BUSY = 11
    SHUTDOWN = 12
    NOT_READY = 13
    FAULT = 14
