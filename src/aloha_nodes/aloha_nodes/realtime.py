"""Ask the operating system to run a thread before others."""

from __future__ import annotations

import os


def raise_priority(priority: int) -> str:
    """Give the calling thread a real-time priority (SCHED_FIFO); return what went wrong, or nothing.

    Args:
        priority: 1 to 99; interrupt handlers run at 50, so stay below.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except AttributeError:
        return "this operating system has no real-time priorities. Set realtime_priority to 0."
    except PermissionError:
        return (
            f"real-time priority {priority} is not permitted. Allow it for your user in /etc/security/limits.d "
            f"('@users - rtprio {priority}') and log in again, or set realtime_priority to 0."
        )
    return ""


def lower_priority() -> None:
    """Give the calling thread back to the ordinary scheduler."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
