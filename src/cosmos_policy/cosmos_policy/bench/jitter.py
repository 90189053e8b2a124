"""How punctual this machine wakes a program that does nothing else: the floor of every period error.

Run as a process of its own, so that nothing of ours holds its interpreter: python -m cosmos_policy.bench.jitter 0.02 10
"""

from __future__ import annotations

import json
import sys
import time

from cosmos_policy_core.execution import PeriodStatistics


def measure(period: float, seconds: float) -> dict[str, float]:
    """Sleep from one period to the next and sum up the errors [ms]."""
    statistics = PeriodStatistics(period, capacity=round(seconds / period))
    due = time.monotonic()
    end = due + seconds
    while due < end:
        statistics.tick(time.monotonic())
        due = max(due + period, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))
    return statistics.summary()


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]), float(sys.argv[2]))))
