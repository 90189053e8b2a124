"""The node on a real graph: what the robot's topics promise, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")
pytest.importorskip("cosmos_policy_msgs", reason="needs the built workspace: run `make setup`")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402

from aloha_nodes import emergency_stop  # noqa: E402
from aloha_nodes.qos import LATCHED, SENSOR_DATA  # noqa: E402
from aloha_sim.cell_node import QUIET_AFTER_RESET, CellNode  # noqa: E402
from aloha_sim.errors import SimError  # noqa: E402
from aloha_sim.settings import VENDOR_FINGERS, VENDOR_JOINTS  # noqa: E402
from cosmos_policy_msgs.srv import ResetCell  # noqa: E402

PATIENCE = 20.0
LEFT = "/follower_left"


def test_ctrl_c_ends_the_node_without_a_traceback() -> None:
    command = [sys.executable, "-m", "aloha_sim.cell_node", "--ros-args", "-p", "image_width:=64"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = [next(line for line in process.stderr if "ready" in line)]
    process.send_signal(signal.SIGINT)
    lines += process.stderr.readlines()
    assert process.wait(timeout=60) == 0
    assert not any("Traceback" in line or "Error" in line for line in lines), lines


class Observer(Node):
    """Keeps the newest message of every topic, and commands the left waist: once, or 50 times a second to `target`."""

    def __init__(self) -> None:
        super().__init__("observer")
        self.newest: dict[str, Any] = {}
        self.stamps: list[float] = []
        self.target: float | None = None
        self.until_at_rest = False
        self.create_timer(0.02, self._command)
        for topic, kind, quality in (
            ("/clock", Clock, 1),
            (f"{LEFT}/joint_states", JointState, 1),
            ("/cam_high/image_raw", Image, SENSOR_DATA),
            ("/cam_high/camera_info", CameraInfo, SENSOR_DATA),
            ("/task_success", Bool, LATCHED),
            ("/diagnostics", DiagnosticArray, 10),
        ):
            self.create_subscription(kind, topic, lambda message, topic=topic: self._keep(topic, message), quality)
        self.commands = self.create_publisher(JointState, f"{LEFT}/joint_commands", 1)
        self.stop = self.create_publisher(Bool, emergency_stop.TOPIC, 1)  # as `ros2 topic pub` does: not latched
        self.stop_state = self.create_publisher(Bool, emergency_stop.STATE, LATCHED)
        self.resets = self.create_client(ResetCell, "/sim/reset")

    def _command(self) -> None:
        clock = self.newest.get("/clock")
        if self.target is not None and clock is not None:
            self.send(self.target, stamp=clock.clock.sec + 1e-9 * clock.clock.nanosec)

    def _keep(self, topic: str, message: Any) -> None:
        if topic == "/cam_high/image_raw":
            self.stamps.append(message.header.stamp.sec + message.header.stamp.nanosec * 1e-9)
        self.newest[topic] = message
        if topic.endswith("joint_states") and self.until_at_rest and message.position[0] < 0.01:
            self.target, self.until_at_rest = None, False  # at once: the cell listens again after 0.3 s

    def fresh(self, topic: str) -> Any:
        """Wait for a message that is yet to come."""
        self.newest.pop(topic, None)
        return self.wait(lambda: self.newest.get(topic), topic)

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.01)
        raise AssertionError(f"waited {PATIENCE} s in vain: {what}")

    def waist(self) -> float:
        return float(self.fresh(f"{LEFT}/joint_states").position[0])

    def send(self, waist: float, *, name: str = "waist", stamp: float | None = None) -> None:
        message = JointState(name=[name], position=[waist])
        if stamp is not None:
            message.header.stamp.sec, message.header.stamp.nanosec = int(stamp), int(stamp % 1 * 1e9)
        self.commands.publish(message)

    def reset(self, seed: int, task: str = "") -> ResetCell.Response:
        assert self.resets.wait_for_service(PATIENCE)
        future = self.resets.call_async(ResetCell.Request(seed=seed, task=task))
        self.wait(future.done, "/sim/reset")
        return future.result()

    def arm_status(self, topic_count: str) -> str:
        status = next(s for s in self.fresh("/diagnostics").status if s.name.endswith("follower_left"))
        return next(pair.value for pair in status.values if pair.key == topic_count)


def small(**changes: Any) -> list[Parameter]:
    values = {"image_width": 64, "image_height": 64, "seed": 4} | changes
    return [Parameter(name, value=value) for name, value in values.items()]


@pytest.fixture(scope="module")
def observer() -> Iterator[Observer]:
    rclpy.init()
    cell, observer = CellNode(parameter_overrides=small()), Observer()
    executor, stop = SingleThreadedExecutor(), threading.Event()
    executor.add_node(cell)
    executor.add_node(observer)
    threads = [threading.Thread(target=executor.spin), threading.Thread(target=cell.run, args=(stop,))]
    for thread in threads:
        thread.start()
    observer.wait(lambda: observer.commands.get_subscription_count(), "the cell's command subscription")
    yield observer
    stop.set()
    threads[1].join()
    executor.shutdown()
    threads[0].join()
    observer.destroy_node()
    cell.destroy_node()
    rclpy.try_shutdown()


def test_joint_states_carry_vendor_names_and_the_simulated_time(observer: Observer) -> None:
    state = observer.fresh(f"{LEFT}/joint_states")
    assert tuple(state.name) == VENDOR_JOINTS + VENDOR_FINGERS
    assert len(state.position) == len(state.velocity) == len(state.effort) == 9
    clock = observer.fresh("/clock").clock
    assert 0 <= clock.sec + clock.nanosec * 1e-9 - state.header.stamp.sec - state.header.stamp.nanosec * 1e-9 < 1


def test_images_are_stamped_one_camera_period_apart(observer: Observer) -> None:
    picture = observer.fresh("/cam_high/image_raw")
    assert (picture.encoding, picture.width, picture.step, len(picture.data)) == ("rgb8", 64, 192, 64 * 64 * 3)
    assert picture.header.frame_id == "cam_high_optical_frame"
    observer.wait(lambda: len(observer.stamps) > 5, "six images")
    periods = [(later - earlier) / 0.04 for earlier, later in zip(observer.stamps, observer.stamps[1:], strict=False)]
    assert periods == pytest.approx([round(period) for period in periods], abs=1e-3)
    assert observer.fresh("/cam_high/camera_info").k[0] == pytest.approx(32 / 0.3443, rel=1e-3)


def test_a_reset_puts_the_cube_of_the_seed_back_and_the_clock_runs_on(observer: Observer) -> None:
    first, before = observer.reset(4), observer.fresh("/clock").clock
    other, again = observer.reset(5), observer.reset(4)
    assert first.success and first.instruction == "transfer the cube to the left arm"
    assert list(first.object_pose) == list(again.object_pose) != list(other.object_pose)
    after = observer.fresh("/clock").clock
    assert (after.sec, after.nanosec) > (before.sec, before.nanosec)
    assert observer.newest["/task_success"].data is False


def test_commands_meant_for_the_scene_before_a_reset_are_dropped(observer: Observer) -> None:
    observer.reset(4)
    observer.target = 0.4
    observer.wait(lambda: observer.waist() > 0.2, "an arm on its way")
    observer.until_at_rest = True
    answer = observer.resets.call_async(ResetCell.Request(seed=4))
    observer.wait(lambda: observer.target is None, "the scene after the reset")
    observer.wait(answer.done, "/sim/reset")
    assert observer.waist() == pytest.approx(0.0, abs=1e-3)


def test_a_reset_is_answered_when_everything_seen_is_of_the_new_scene(observer: Observer) -> None:
    observer.reset(4)
    before = observer.fresh("/clock").clock
    observer.reset(4)
    after = observer.fresh("/clock").clock
    passed = after.sec - before.sec + 1e-9 * (after.nanosec - before.nanosec)
    assert passed > QUIET_AFTER_RESET > 2 / 25


def test_a_task_of_another_cell_is_refused_with_the_remedy(observer: Observer) -> None:
    response = observer.reset(4, task="insertion")
    assert not response.success
    assert "'transfer_cube'" in response.message and "Restart" in response.message


def test_an_arm_follows_its_commands(observer: Observer) -> None:
    observer.reset(4)
    observer.send(0.2)
    observer.wait(lambda: abs(observer.waist() - 0.2) < 0.01, "the waist at 0.2 rad")


@pytest.mark.parametrize(("waist", "name"), [(float("nan"), "waist"), (0.5, "wheel")])
def test_a_command_without_meaning_is_refused_and_counted(observer: Observer, waist: float, name: str) -> None:
    observer.reset(4)
    observer.send(waist, name=name)
    observer.wait(lambda: int(observer.arm_status("refused")) >= 1, "a refused command in the diagnostics")
    assert observer.waist() == pytest.approx(0.0, abs=1e-3)


def test_a_command_made_too_long_ago_is_refused(observer: Observer) -> None:
    observer.reset(4)
    observer.send(0.5, stamp=0.001)
    observer.wait(lambda: int(observer.arm_status("refused")) >= 1, "a refused command in the diagnostics")
    assert observer.waist() == pytest.approx(0.0, abs=1e-3)


def test_an_arm_reports_that_it_holds_whenever_commands_stop(observer: Observer) -> None:
    observer.reset(4)
    observer.target = 0.1
    observer.wait(lambda: observer.arm_status("holding") == "False", "an arm that follows")
    observer.target = None
    observer.wait(lambda: observer.arm_status("holding") == "True", "an arm that holds")
    assert observer.waist() == pytest.approx(0.1, abs=0.01)


def test_any_node_raises_the_emergency_stop_and_only_its_owner_lowers_it(observer: Observer) -> None:
    observer.reset(4)
    observer.target = 0.0
    observer.stop.publish(Bool(data=True))
    observer.wait(lambda: observer.arm_status("holding") == "True", "the stop, with commands coming in")
    observer.target = 0.4
    observer.stop.publish(Bool(data=False))
    assert observer.arm_status("holding") == "True"
    assert observer.arm_status("holding") == "True", "lowered by somebody's default"
    assert observer.waist() == pytest.approx(0.0, abs=1e-3)
    observer.stop_state.publish(Bool(data=False))
    observer.wait(lambda: abs(observer.waist() - 0.4) < 0.02, "the arm to follow again")
    observer.target = None


def test_rates_that_do_not_divide_the_clock_are_refused(observer: Observer) -> None:
    with pytest.raises(SimError, match="camera_rate: 30.0 Hz does not divide clock_rate"):
        CellNode(parameter_overrides=small(camera_rate=30.0))


def test_the_task_and_the_domain_are_parameters(observer: Observer) -> None:
    given = small(task="candies_in_bowl", object_x_range=[0.1, 0.15], camera_shift=0.01)
    node = CellNode(parameter_overrides=given)
    try:
        settings = node.cell.settings
        assert (settings.instruction, settings.camera_shift) == ("put candies in bowl", 0.01)
        assert settings.region.y == node.cell.task.region.y, "what is not given is the task's own"
        assert all(0.1 <= x <= 0.15 for x in node.cell.object_poses[:, 0])
    finally:
        node.destroy_node()
