"""`cosmos-policy bench control`: the whole graph on emulated motors and test pictures, and how regular it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rich.console import Console
from rich.table import Table

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.bench.probe import Probe
from cosmos_policy.bench.processes import Nodes
from cosmos_policy.dds import profile
from cosmos_policy.graph import BRINGUP, NodeSpec
from cosmos_policy_core.checkpoints import find
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.embodiment.hardware import FOLDER as HARDWARE
from cosmos_policy_core.model.checkpoint import EMBODIMENT_FILE

CHECKPOINT = "nano_transfer_cube"
INSTRUCTION = "transfer the cube to the left arm"
POLICY_PROCESSES = ("policy", "planner", "scorer")
# What is late or far is measured here, not refused: a policy makes anything of test pictures, on any machine.
PATIENT = {"start_distance": 3.0, "image_age_periods": 50.0, "state_silence_periods": 100.0, "command_timeout": 0.5}
WARM_UP = 12.0  # [s]: what was measured while the graph came up is forgotten


@dataclass(frozen=True)
class Setup:
    """What runs while it is measured."""

    seconds: float
    planner: str  # direct, best_of_n or none
    candidates: int
    camera_rate: float  # [Hz]; 0: the real cell's
    realtime_priority: int
    dds_profile: bool


def run(options: Any) -> int:
    """Bring the graph up, measure, print; the options are those of `bench control`."""
    setup = Setup(**{field.name: getattr(options, field.name) for field in fields(Setup)})
    with tempfile.TemporaryDirectory(prefix="bench_control_") as folder:
        report = measure(setup, Path(folder))
    _print(report)
    if options.json:
        print(json.dumps(report))
    return 0


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    """Return the numbers, keyed as `bench control --json` prints them."""
    contract = robot(setup)
    (folder / "contract.yaml").write_text(contract.to_yaml())
    environment = profile(os.environ) if setup.dds_profile else {}
    with Nodes(nodes(setup, contract, folder), folder, environment) as processes:
        os.environ.update(environment)  # for the probe's own participant
        rclpy.init()
        probe = Probe(contract, INSTRUCTION)
        spinning = SpinningThread(probe, threads=2)
        try:
            _come_up(setup, probe, processes)
            if setup.realtime_priority:
                # Real motors do not share our processor: a driver must not keep emulated ones from it.
                processes.raise_priority("/motors", setup.realtime_priority + 1)
            probe.look(WARM_UP, processes.check)
            probe.image_ages.clear()
            probe.observing.clear()
            return _watch(setup, probe, processes)
        finally:
            probe.stop()
            spinning.stop()
            probe.destroy_node()
            rclpy.try_shutdown()


def robot(setup: Setup) -> Embodiment:
    """Return a contract with the rates and picture sizes of the real cell, for the checkpoint that ships."""
    sim, real = Embodiment.load("aloha_sim"), Embodiment.load("aloha")
    rates = {camera.name: camera for camera in real.cameras}
    cameras = tuple(
        camera.model_copy(
            update={
                "width": rates[camera.name].width,
                "height": rates[camera.name].height,
                "rate": setup.camera_rate or rates[camera.name].rate,
            }
        )
        for camera in sim.cameras
    )
    assert sim.safety is not None
    safety = sim.safety.model_copy(update=PATIENT)
    changes = {"cameras": cameras, "state_rate": real.state_rate, "command_rate": real.command_rate, "safety": safety}
    return sim.model_copy(update=changes)


def nodes(setup: Setup, contract: Embodiment, folder: Path) -> list[NodeSpec]:
    """Describe the graph: drivers on emulated motors, a node per camera, and the planner's side."""
    cell = yaml.safe_load((HARDWARE / "emulated.yaml").read_text())
    for camera in cell["cameras"].values():
        camera.pop("rate", None)  # the contract's
    (folder / "hardware.yaml").write_text(yaml.safe_dump(cell))
    checkpoint = folder / "checkpoint"  # the shipped one, for pictures of the real cell's size
    checkpoint.mkdir()
    for file in find(CHECKPOINT).iterdir():
        (checkpoint / file.name).symlink_to(file)
    (checkpoint / EMBODIMENT_FILE).unlink()
    (checkpoint / EMBODIMENT_FILE).write_text(contract.to_yaml())
    given = {
        "checkpoint": str(checkpoint),
        "robot": "emulated",
        "realtime_priority": str(setup.realtime_priority),
        "embodiment": str(folder / "contract.yaml"),
        "hardware": str(folder / "hardware.yaml"),
        "planner": "direct" if setup.planner == "none" else setup.planner,
        "candidates": str(setup.candidates),
    }
    specs = BRINGUP.nodes(given)
    if setup.planner == "none":
        specs = [spec for spec in specs if spec.name not in POLICY_PROCESSES]
    return specs


def _come_up(setup: Setup, probe: Probe, processes: Nodes) -> None:
    probe.wait_for(probe.executor_says, "diagnostics of the executor", processes.check)
    for arm in probe.contract.arms:
        probe.wait_for(lambda name=arm.name: probe.driver_says(name), f"diagnostics of {arm.name}", processes.check)  # type: ignore[misc]
    probe.go_to_start(processes.check)
    if setup.planner != "none":
        probe.wait_for(probe.task_is_served, "/run_task", processes.check)
        probe.keep_busy()
        probe.wait_for(lambda: probe.executor_says().get("activity") == "running", "the first chunk", processes.check)


def _watch(setup: Setup, probe: Probe, processes: Nodes) -> dict[str, Any]:
    words = [sys.executable, "-m", "cosmos_policy.bench.jitter", "0.02", str(setup.seconds - 1.0)]
    machine = subprocess.Popen(words, stdout=subprocess.PIPE)
    before, began = processes.processor_seconds(), time.monotonic()
    probe.look(setup.seconds, processes.check)
    passed = time.monotonic() - began
    used = {name: (after - before[name]) / passed for name, after in processes.processor_seconds().items()}
    return {
        "executor": _numbers(probe.executor_says(), "period_error"),
        "drivers": {arm.name: _numbers(probe.driver_says(arm.name), "period_error") for arm in probe.contract.arms},
        "machine": json.loads(machine.communicate()[0]),
        "state_age": _numbers(probe.executor_says(), "state_age"),
        "image_age": probe.image_ages.summary(),
        "observation": probe.observing.summary(),
        "cpu": {name: round(share, 4) for name, share in used.items()},
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "seconds": setup.seconds,
        "planner": setup.planner,
        "realtime_priority": setup.realtime_priority,
    }


def _numbers(values: dict[str, str], key: str) -> dict[str, float]:
    return {name: float(values[f"{key}_{name}"]) for name in ("p50_ms", "p99_ms", "max_ms")}


def _print(report: dict[str, Any]) -> None:
    console = Console(stderr=True)
    table = Table("", "p50 [ms]", "p99 [ms]", "max [ms]", title=f"load {report['load_average']:.1f}")
    rows = {"period error, executor": report["executor"]}
    rows |= {f"period error, {arm}": numbers for arm, numbers in report["drivers"].items()}
    rows["period error, an empty loop beside them"] = report["machine"]
    rows |= {"state age at use": report["state_age"], "image age at use": report["image_age"]}
    rows["taking an observation"] = report["observation"]
    for name, numbers in rows.items():
        table.add_row(name, *(f"{numbers[key]:.2f}" for key in ("p50_ms", "p99_ms", "max_ms")))
    console.print(table)
    console.print("processor: " + ", ".join(f"{name} {share:.0%}" for name, share in report["cpu"].items()))
