"""Bring the graph up, have it transfer a cube, show it live, and leave a video, a timeline and a summary.

make demo                      the default scene
SEED=7 make demo               another one
python -m cosmos_policy.demo.main --planner direct --json
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from cosmos_policy.demo.display import Display
from cosmos_policy.demo.graph_process import GraphProcess
from cosmos_policy.demo.history import History
from cosmos_policy.demo.recorder import Recorder
from cosmos_policy.demo.summary import Summary, screen, summarise
from cosmos_policy.demo.timeline import draw_timeline
from cosmos_policy.errors import DemoError
from cosmos_policy.graph.robot import ROBOTS
from cosmos_policy.run_task import Commander, TaskOutcome
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CosmosPolicyError
from cosmos_policy_msgs.action import RunTask

DEFAULT_SEED = 0
LINGER = 1.0  # [s] of video after the end of the task


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; SEED in the environment is the default of --seed."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").splitlines()[0])
    seed = os.environ.get("SEED", "") or str(DEFAULT_SEED)
    parser.add_argument("--seed", type=int, default=seed, help="scene and noise of the proposals (%(default)s)")
    parser.add_argument("--planner", choices=("direct", "best_of_n"), default="best_of_n", help="%(default)s")
    parser.add_argument("--checkpoint", default="", help="shipped name or folder (the graph's own default)")
    parser.add_argument("--max-chunks", type=int, default=6, help="chunks to execute at most (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder (%(default)s)")
    parser.add_argument("--attach", action="store_true", help="use a graph that is already running")
    parser.add_argument("--timeout", type=float, default=300.0, help="wall time for everything [s] (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("graph", nargs="*", metavar="name:=value", help="further arguments of the graph")
    return parser.parse_args(words)


def run_demo(options: argparse.Namespace, console: Console) -> Summary:
    """Do everything once.

    Raises:
        DemoError, NoAnswer: the graph cannot be brought up, ended early, or does not answer.
    """
    began = time.monotonic()
    options.output.mkdir(parents=True, exist_ok=True)
    stem = options.output / f"{options.planner}_seed{options.seed}"
    files = {"video": stem.with_suffix(".mp4"), "timeline": stem.with_suffix(".png"), "log": stem.with_suffix(".log")}
    contract = Embodiment.load(ROBOTS["sim"].embodiment)
    history = History()
    title = f"{options.planner}, scene {options.seed}"
    with ExitStack() as stack:
        display = stack.enter_context(Display(history, f"cosmos_policy demo: {title}", console))
        commander = stack.enter_context(Commander("demo"))
        graph = None if options.attach else _bring_up(options, commander, files["log"], stack, display)
        check = _nothing if graph is None else graph.check
        _wait(lambda: _is_up(commander), options.timeout, check)
        display.say("resetting the cell")
        scene = commander.reset_cell(options.seed)
        recorder = Recorder(commander.node, contract, history, files["video"], f"{scene.instruction} ({title})")
        stack.callback(recorder.close)
        outcome = _run_task(commander, options, scene.instruction, history, display, check)
        history.outcome = outcome.reason.lower().replace("_", " ")
        display.say("finishing the video")
        time.sleep(LINGER)
    draw_timeline(history, contract, files["timeline"], f"{scene.instruction}: {outcome.reason}, {title}")
    if options.attach:
        del files["log"]
    return summarise(
        outcome,
        history,
        task=scene.instruction,
        planner=options.planner,
        seed=options.seed,
        began=began,
        ended=time.monotonic(),
        files=files,
    )


def _bring_up(
    options: argparse.Namespace, commander: Commander, log: Path, stack: ExitStack, display: Display
) -> GraphProcess:
    display.say("looking for another graph")
    time.sleep(0.5)
    if commander.planner_is_there:
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        raise DemoError(
            f"a graph already runs in ROS domain {domain}. Use it with --attach, or set ROS_DOMAIN_ID to another one."
        )
    arguments = {"robot": "sim", "planner": options.planner, "seed": str(options.seed), "imagined_images": "true"}
    if options.checkpoint:
        arguments["checkpoint"] = options.checkpoint
    for word in options.graph:
        name, _, value = word.partition(":=")
        arguments[name] = value
    display.say("bringing the graph up: simulated cell, policy, planner, chunk executor")
    return stack.enter_context(GraphProcess(arguments, log))


def _is_up(commander: Commander) -> bool:
    """Whether cell, planner and policy are there; a checkpoint takes longest to load."""
    if not (commander.planner_is_there and commander.cell_is_there):
        return False
    return any(name == "/policy/propose_chunks" for name, _ in commander.node.get_service_names_and_types())


def _nothing() -> None:
    """Check an attached graph: its processes are not ours to watch."""


def _wait(ready: Callable[[], bool], timeout: float, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise DemoError(f"the graph is not up after {timeout:.0f} s. Read its log.")
        time.sleep(0.05)


def _run_task(
    commander: Commander,
    options: argparse.Namespace,
    instruction: str,
    history: History,
    display: Display,
    check: Callable[[], None],
) -> TaskOutcome:
    display.say("running")

    def follow(feedback: RunTask.Feedback) -> None:
        history.take_feedback(feedback)
        display.tell()

    return commander.run_task(
        instruction,
        max_chunks=options.max_chunks,
        seed=options.seed,
        timeout=options.timeout,
        on_feedback=follow,
        check=check,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the demonstration: 0 after a success, 1 after a failure of the task, 2 when it could not be tried."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the graph ends too
    options = parse(words)
    console = Console(stderr=options.json)
    try:
        summary = run_demo(options, console)
    except CosmosPolicyError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted; the graph is down", file=sys.stderr)
        return 130
    console.print(screen(summary))
    if options.json:
        print(json.dumps(summary.as_dict()))
    return 0 if summary.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
