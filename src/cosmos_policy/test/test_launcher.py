"""The graph without the launch package: processes, their output, their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import tiny_node

from cosmos_policy import launcher
from cosmos_policy.errors import GraphError
from cosmos_policy.graph import GRAPHS, NodeSpec

SECONDS_TO_END = 5.0


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An ament prefix with a package `tiny` that has the tiny node as its executable."""
    marker = tmp_path / "share/ament_index/resource_index/packages/tiny"
    marker.parent.mkdir(parents=True)
    marker.touch()
    executable = tmp_path / "lib/tiny/tiny_node"
    executable.parent.mkdir(parents=True)
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tiny_node.__file__}" "$@"\n')
    executable.chmod(0o755)
    return tmp_path


class Launch:
    """A launcher process with some tiny nodes."""

    def __init__(self, package: Path, modes: dict[str, str]) -> None:
        program = f"""
            import sys
            from cosmos_policy.graph import NodeSpec
            from cosmos_policy.launcher import run
            modes = {modes!r}
            sys.exit(run([NodeSpec("tiny", "tiny_node", name, parameters={{"mode": mode, "rate": 2.0}})
                          for name, mode in modes.items()]))
            """
        self.log = package / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "AMENT_PREFIX_PATH": f"{package}:{os.environ.get('AMENT_PREFIX_PATH', '')}"},
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, *texts: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not all(text in self.log.read_text() for text in texts):
            assert time.monotonic() < deadline, f"{texts} did not appear in:\n{self.log.read_text()}"
            time.sleep(0.05)

    def end(self, timeout: float = 60.0) -> int:
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()


def test_ctrl_c_ends_every_node_in_time_and_without_a_traceback(package: Path) -> None:
    launch = Launch(package, {"first": "well", "second": "well", "third": "hangs"})
    launch.wait_for(*(f"{name:<6} | [INFO] hook activate" for name in ("first", "second", "third")))
    began = time.monotonic()
    os.killpg(launch.process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    assert launch.end() == 0
    assert time.monotonic() - began < SECONDS_TO_END
    assert "Traceback" not in launch.log.read_text()


def test_ctrl_c_before_the_nodes_are_up_ends_them_too(package: Path) -> None:
    launch = Launch(package, {"first": "loads", "second": "loads"})
    launch.wait_for("system | ")
    launch.process.send_signal(signal.SIGINT)
    assert launch.end(10.0) == 0
    assert "Traceback" not in launch.log.read_text()


def test_a_node_that_fails_ends_the_graph_with_its_exit_code(package: Path) -> None:
    launch = Launch(package, {"good": "well", "bad": "refuses"})
    assert launch.end() == 1
    assert "camera.yaml: no camera. Plug one in." in launch.log.read_text()


def test_a_node_that_is_not_installed_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(package))
    with pytest.raises(GraphError, match="camera: package camera_drivers is not installed"):
        launcher.command(NodeSpec("camera_drivers", "camera_node", "camera"), package)
    with pytest.raises(GraphError, match="lib/tiny/other_node does not exist"):
        launcher.command(NodeSpec("tiny", "other_node", "camera"), package)


def test_a_node_is_started_with_its_name_namespace_remappings_and_parameters(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(package))
    node = NodeSpec(
        "tiny",
        "tiny_node",
        "camera",
        namespace="/left",
        parameters={"rates": (1.0, 2.0), "label": "8"},
        remappings={"image": "/cam/image"},
        arguments=("--log", "a b"),
    )
    words = launcher.command(node, package)
    assert "tiny_node --log 'a b' --ros-args -r __node:=camera -r __ns:=/left -r image:=/cam/image" in words
    written = (package / "left_camera.yaml").read_text()
    assert "label: '8'" in written
    assert "- 1.0\n" in written


@pytest.mark.parametrize("graph", GRAPHS)
def test_show_args_lists_every_argument_with_its_default(graph: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main([graph, "--show-args"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {argument.name}:=" in shown for argument in GRAPHS[graph].arguments)
    assert "One of: sim, aloha, emulated." in shown


@pytest.mark.parametrize("graph", GRAPHS)
def test_show_args_says_what_a_number_may_be(graph: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main([graph, "--show-args"]) == 0
    shown = capsys.readouterr().out
    assert "Port the live view listens on. Allowed: 1 to 65535." in shown
    assert "Seed of the simulated scene. Allowed: at least 0." in shown


def test_a_reader_who_has_seen_enough_of_the_arguments_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cosmos_policy.launcher", "--show-args"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_show_args_without_a_graph_is_about_the_bring_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["--show-args"]) == 0
    assert "planner:=best_of_n" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["robot=sim", "robot", "aloha_telop", "robot:=toaster"])
def test_a_word_that_means_nothing_is_refused_in_one_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main([word]) == 2
    message = capsys.readouterr().err
    assert message.startswith("cosmos-policy-launch: ")
    assert message.count("\n") == 1
