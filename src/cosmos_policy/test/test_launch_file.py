"""The launch file hands the one description of the graph to launch; runs where launch is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cosmos_policy.graph import GRAPHS, Graph

pytest.importorskip("launch.actions", reason="the launch package is not installed; it comes with a sourced ROS 2")
pytest.importorskip("launch_ros", reason="the launch_ros package is not installed; it comes with a sourced ROS 2")

FOLDER = Path(__file__).resolve().parent.parent / "launch"
FILE = FOLDER / "aloha_bringup.launch.py"

RUN = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService(argv=sys.argv[2:])
arguments = [tuple(word.split(":=", 1)) for word in sys.argv[2:]]
service.include_launch_description(
    IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
)
sys.exit(service.run())
"""


def description(graph: Graph) -> Any:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    return get_launch_description_from_python_launch_file(str(FOLDER / f"{graph.name}.launch.py"))


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_a_launch_file_declares_every_argument_of_its_graph(graph: Graph) -> None:
    declared = {
        argument.name: argument
        for argument, _ in description(graph).get_launch_arguments_with_include_launch_description_actions()
    }
    assert set(declared) == {argument.name for argument in graph.arguments}
    for argument in graph.arguments:
        assert tuple(declared[argument.name].choices or ()) == argument.choices
        assert declared[argument.name].description.startswith(argument.description)


@pytest.mark.parametrize("robot", ["sim", "emulated"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_a_launch_file_describes_every_node_of_its_graph(graph: Graph, robot: str) -> None:
    from launch.actions import ExecuteProcess, OpaqueFunction
    from launch.launch_context import LaunchContext
    from launch_ros.actions import Node

    context = LaunchContext()
    context.launch_configurations["robot"] = robot
    entities = description(graph).entities
    for entity in entities:
        if not isinstance(entity, OpaqueFunction):
            entity.visit(context)
    (function,) = (entity for entity in entities if isinstance(entity, OpaqueFunction))
    described = graph.nodes({"robot": robot})
    actions = function.execute(context)
    assert all(isinstance(action, ExecuteProcess) for action in actions)
    assert [isinstance(action, Node) for action in actions] == [node.ros for node in described]
    assert [(action.node_package, action.node_executable) for action in actions if isinstance(action, Node)] == [
        (node.package, node.executable) for node in described if node.ros
    ]


@pytest.mark.slow
def test_the_launched_graph_comes_up_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(FILE), "planner:=direct"],
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120.0
        while not all(text in log.read_text() for text in ("/run_task is served", "is loaded on")):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20.0)
        assert time.monotonic() - began < 5.0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("candidates:=none", "candidates: 'none' is not a whole number."),
        ("robto:=sim", "robto: there is no such argument. Did you mean robot?"),
        ("robot:=toaster", "toaster"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_allowed_ones(tmp_path: Path, word: str, sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(FILE), word],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
