"""The base of all nodes: its transitions, its parameters, and how its process ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
import tiny_node
from rclpy.parameter import Parameter
from tiny_node import TinyNode

from aloha_nodes.errors import ParameterError

SECONDS_TO_END = 5.0


@pytest.fixture
def make() -> Iterator[Callable[..., TinyNode]]:
    rclpy.init()
    nodes: list[TinyNode] = []

    def make(**parameters: object) -> TinyNode:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        nodes.append(TinyNode(parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()


def test_a_node_comes_up_and_goes_down_through_its_hooks(make: Callable[..., TinyNode]) -> None:
    node = make()
    assert node.start()
    assert node.is_active
    node.stop()
    assert node.hooks == ["configure", "activate", "deactivate", "cleanup"]
    assert node.state == "unconfigured"


def test_a_user_s_mistake_leaves_the_node_unconfigured_and_closed(make: Callable[..., TinyNode]) -> None:
    node = make(mode="refuses")
    assert not node.start()
    assert node.state == "unconfigured"
    assert node.hooks == ["configure", "cleanup"]


def test_a_defect_leaves_the_node_at_rest_and_ready_for_another_try(make: Callable[..., TinyNode]) -> None:
    node = make(mode="defective")
    assert not node.start()
    assert node.state == "unconfigured"
    node.mode = "well"
    assert node.start()


def test_a_shutdown_from_active_brings_the_node_to_rest_first(make: Callable[..., TinyNode]) -> None:
    node = make()
    node.start()
    node.trigger_shutdown()
    assert node.hooks[2:] == ["deactivate", "cleanup"]
    assert node.state == "finalized"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mode": "fine"}, "tiny: parameter mode: 'fine' is unknown. Use one of: well, refuses"),
        ({"rate": 1}, "tiny: parameter rate is not of type float (write 1.0, not 1)."),
        ({"rate": 0.0}, "tiny: parameter rate must lie in [0.1, 100]."),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(
    make: Callable[..., TinyNode], parameters: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ParameterError) as refusal:
        make(**parameters)
    assert str(refusal.value).startswith(sentence)


def test_a_parameter_with_choices_refuses_others_while_the_node_runs(make: Callable[..., TinyNode]) -> None:
    node = make()
    (good,) = node.set_parameters([Parameter("colour", value="green")])
    (bad,) = node.set_parameters([Parameter("colour", value="blue")])
    assert good.successful
    assert not bad.successful
    assert "red, green" in bad.reason


class Process:
    """The tiny node as a process; its output by line."""

    def __init__(self, mode: str, **parameters: str) -> None:
        words = [f"{name}:={value}" for name, value in {"mode": mode, **parameters}.items()]
        options = [option for word in words for option in ("-p", word)]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(tiny_node.__file__)), "--ros-args", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.output:
            assert time.monotonic() < deadline, f"'{text}' did not appear in:\n{self.output}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, timeout: float = 60.0) -> int:
        try:
            return self._process.wait(timeout)
        finally:
            self._process.kill()
            self._reader.join(5.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_node_to_rest_and_ends_it_without_a_traceback(number: int) -> None:
    process = Process("well")
    process.wait_for("hook activate")
    process.signal(number)
    assert process.end(SECONDS_TO_END) == 0
    assert "hook deactivate" in process.output
    assert "hook cleanup" in process.output
    assert "Traceback" not in process.output


def test_a_callback_that_does_not_return_cannot_keep_the_process_alive() -> None:
    process = Process("hangs")
    process.wait_for("hook activate")
    time.sleep(0.3)
    process.signal(signal.SIGINT)
    assert process.end(SECONDS_TO_END) == 0
    assert "Traceback" not in process.output


def test_a_signal_while_a_checkpoint_loads_ends_the_process() -> None:
    process = Process("loads")
    process.wait_for("hook configure")
    process.signal(signal.SIGINT)
    assert process.end(SECONDS_TO_END) == 0


def test_a_start_that_fails_ends_the_process_with_one_sentence() -> None:
    process = Process("refuses")
    assert process.end() == 1
    assert "camera.yaml: no camera. Plug one in." in process.output
    assert "Traceback" not in process.output


def test_a_start_that_fails_may_be_repeated_by_hand_where_that_is_asked_for() -> None:
    process = Process("refuses", exit_on_failure="false")
    process.wait_for("hook cleanup")
    time.sleep(0.5)
    process.signal(signal.SIGINT)
    assert process.end(SECONDS_TO_END) == 0


def test_a_defect_in_a_callback_ends_the_process_and_shows_where() -> None:
    process = Process("crashes")
    assert process.end() == 1
    assert "KeyError: 'missing'" in process.output
    assert "hook deactivate" in process.output


def test_a_wrong_parameter_ends_the_process_with_one_sentence() -> None:
    process = Process("nonsense")
    assert process.end() == 1
    assert "parameter mode: 'nonsense' is unknown" in process.output
    assert "Traceback" not in process.output


def test_a_signal_that_another_thread_takes_ends_the_wait() -> None:
    program = """
import signal, threading, time
from aloha_nodes.waiting import wait_for_end

ended = threading.Event()
signal.signal(signal.SIGINT, lambda *_: ended.set())
other = threading.Thread(target=time.sleep, args=(60.0,), daemon=True)
other.start()
threading.Timer(0.3, signal.pthread_kill, (other.ident, signal.SIGINT)).start()
wait_for_end(ended)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=45.0)
