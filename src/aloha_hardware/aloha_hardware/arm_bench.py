"""`ros2 run aloha_hardware arm_bench`: how long a control cycle takes, and how much of it is not the wire's."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aloha_hardware.arm import Arm
from aloha_hardware.arm_loop import ArmLoop
from aloha_hardware.arm_reading import Reading
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.errors import HardwareError, PortError
from aloha_hardware.setpoints import Setpoints

BYTE = 1e-5  # [s] at 1 Mbps
SYNC_READ_HEAD, STATUS_HEAD, FAST_HEAD = 14, 11, 8
STATE_BYTES, MASTERS, MOTORS = 10, 7, 9


class Counter:
    """Counts what the loop tells."""

    def __init__(self) -> None:
        self.readings = self.changes = 0

    def on_cycle(self, elapsed: float) -> None:
        """Nobody else is there to be told."""

    def on_reading(self, reading: Reading) -> None:
        """Count a complete reading."""
        self.readings += 1

    def on_change(self) -> None:
        """Count a stop raised or lifted."""
        self.changes += 1


def wire_time(fast: bool, examining: bool) -> float:
    """Return what a cycle must wait for the wire [s]: the states, and in every tenth the motors' health.

    The goals are on the wire while the next cycle is awaited; nothing waits for them.
    """
    answers = FAST_HEAD + MASTERS * (STATE_BYTES + 4) if fast else MASTERS * (STATUS_HEAD + STATE_BYTES)
    health = SYNC_READ_HEAD + MOTORS + MOTORS * (STATUS_HEAD + 1)
    return BYTE * (SYNC_READ_HEAD + MASTERS + answers + health * examining)


def main(args: Sequence[str] | None = None) -> int:
    """Run the loop of an arm for a while and report its times."""
    parser = argparse.ArgumentParser(prog="arm_bench", description=__doc__)
    parser.add_argument("--port", help="port of an arm in its sleep pose; without one an emulated arm is measured")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--drop", type=float, default=0.0, help="share of status packets the emulated arm loses, 0..1")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(args)
    try:
        result = _emulated(options) if options.port is None else measure(options.port, options.seconds)
    except HardwareError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in result.items():
        print(f"{name:>22}  {value:.3f}" if isinstance(value, float) else f"{name:>22}  {value}")
    if options.json:
        print(json.dumps(result))
    return 0


def measure(port: str, seconds: float) -> dict[str, Any]:
    """Hold the arm on a port where it is, for a time [s], and return times [ms] and counts.

    The arm goes on holding when it is over.
    """
    arm, counter = Arm(ArmSettings(port=port), print), Counter()
    arm.open()
    try:
        arm.torque_on()
        reading = arm.read() or arm.read()
        if reading is None:
            raise PortError(f"{port}: not every motor answers. Check the cables.")
        loop = ArmLoop(arm, Setpoints(arm.settings, reading.position), threading.Lock(), counter)
        work = time.process_time()
        loop.start()
        time.sleep(seconds)
        loop.stop()
        work = time.process_time() - work
        arm.let_hold()
    finally:
        arm.close()
    floors = [1e3 * wire_time(arm.bus.fast, examining) for examining in (False, True)]
    times = loop.timing.summary()
    return {
        "machine": platform.platform(),
        "unit": "ms",
        **{name.removesuffix("_ms"): value for name, value in times.items()},
        "wire_p50": floors[0],
        "wire_p99": floors[1],
        "added_p50": times["cycle_p50_ms"] - floors[0],
        "added_p99": times["cycle_p99_ms"] - floors[1],
        "rate_hz": counter.readings / seconds,
        "cpu_share": work / seconds,
        "incomplete_reads": loop.timing.incomplete,
        "retries": arm.bus.counts.retries,
        "stops": counter.changes,
    }


def _emulated(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "ttyDXL"
        command = [sys.executable, "-m", "aloha_hardware.emulator.cli", "--link", str(link), "--stays"]
        process = subprocess.Popen(
            [*command, "--drop", str(options.drop)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            return measure(str(link), options.seconds)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
