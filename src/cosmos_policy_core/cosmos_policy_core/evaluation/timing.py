"""Measure durations fairly: warm-up first, medians and tails, the machine named."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Wall time of repeated calls [s]."""

    median_s: float
    p99_s: float
    runs: int


def measure(call: Callable[[], object], device: torch.device, runs: int, warm_up: int = 2) -> Timing:
    """Time a call; waits for the device before and after each run."""
    times = []
    for index in range(warm_up + runs):
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        if index >= warm_up:
            times.append(time.perf_counter() - start)
    return Timing(float(np.median(times)), float(np.quantile(times, 0.99)), runs)


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Measured rate of a large matrix product [TFLOP/s]: what arithmetic this machine can do at best."""
    size = 1024 if device.type == "cpu" else 8192
    a = torch.randn(size, size, dtype=dtype, device=device)  # not zeros, which run faster than any real data
    timing = measure(lambda: a @ a, device, runs=20)
    return 2 * size**3 / timing.median_s / 1e12


def describe_machine(device: torch.device) -> str:
    """Name device, threads and library."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
