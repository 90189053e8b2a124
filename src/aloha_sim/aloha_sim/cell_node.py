"""The simulated cell on the topics of the hardware: cameras, arms, the clock, and the judge of the task."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool

from aloha_nodes.emergency_stop import EmergencyStop
from aloha_nodes.qos import COMMANDS, LATCHED, SENSOR_DATA, STATES
from aloha_nodes.spinning import SpinningThread
from aloha_sim import messages, parameters
from aloha_sim.cell import Cell
from aloha_sim.commands import CommandInbox
from aloha_sim.errors import SimError
from aloha_sim.pacing import Meter, Pacer
from cosmos_policy_msgs.srv import ResetCell

RESET_TIMEOUT = 10.0
"""[s] of real time after which a reset is given up: the physics loop does not run."""

QUIET_AFTER_RESET = 0.3
"""[s] in which commands are dropped, because they were meant for the scene before the reset. It is answered after that:
whoever has the answer finds images and states of the new scene only."""


class CellNode(Node):
    """Stand in for the cameras and arms of the robot.

    Publishes /clock, the joint states of both arms, images with camera_info, /task_success (latched) and /diagnostics;
    subscribes to the joint commands; obeys /emergency_stop (while raised the arms hold); serves /sim/reset.

    Physics, drawing and publishing run in `run`, which belongs to one thread; callbacks belong to the executor's.
    A loop that cannot keep up slows simulated time down: nothing is skipped.
    Images nobody subscribes to are not drawn.

    Raises:
        SimError: a parameter is unusable, or the model or a renderer is missing.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("aloha_sim", **node_options)
        settings, self.graph = parameters.declare(self)
        self.cell = Cell(**settings)
        self._tick, self._reset_at = 0, 0.0
        self._period = 1 / self.graph.clock_rate
        self._every = {
            "states": round(self.graph.clock_rate / self.graph.state_rate),
            "images": round(self.graph.clock_rate / self.graph.camera_rate),
            "judge": max(1, round(self.graph.clock_rate / self.cell.settings.control_rate)),
        }
        self._physics_steps = max(1, round(self._period / self.cell.timestep))
        self._success = False
        self._refused = [0, 0]
        self._complaints: set[tuple[int, str]] = set()
        self._resets: queue.SimpleQueue[tuple[ResetCell.Request, ResetCell.Response, threading.Event]] = (
            queue.SimpleQueue()
        )
        self._quieting: list[threading.Event] = []
        joints = self.cell.settings.joint_names
        self._inboxes = [CommandInbox(joints, self.graph.command_timeout) for _ in range(2)]
        self._open_interfaces()
        self._reset(self.graph.seed)

    @property
    def time(self) -> float:
        """Simulated time since the node started [s]; a reset does not turn it back."""
        return self._tick * self._period

    @property
    def _quiet(self) -> bool:
        return self.time - self._reset_at < QUIET_AFTER_RESET

    def run(self, stop: threading.Event) -> None:
        """Simulate until stopped. Draws in the calling thread and frees the renderer there."""
        pacer, self._meter = Pacer(self.graph.real_time_factor), Meter()
        self.get_logger().info(f"ready: {self.cell.settings.task}, seed {self.graph.seed}")
        try:
            while not stop.is_set():
                self._serve_resets()
                self._advance()
                if self._meter.age >= 1.0:
                    self._publish_diagnostics(pacer)
                pacer.wait(self._period)
        finally:
            self.cell.close()

    # -- the physics loop ----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        for arm, inbox in enumerate(self._inboxes):
            target = inbox.take(self.time)
            if target is not None and not self._stop.raised:
                self.cell.command(arm, target)
                self._meter.count(f"commands {arm}")
        self.cell.step(self._physics_steps)
        self._tick += 1
        stamp = messages.to_stamp(self.time)
        self._time_topic.publish(Clock(clock=stamp))
        if self._tick % self._every["states"] == 0:
            for arm, publisher in enumerate(self._states):
                name = self.cell.settings.arms[arm]
                publisher.publish(messages.joint_state_message(self.cell.joint_state(arm), stamp, name))
        if self._tick % self._every["judge"] == 0:
            self._report_success(self._success or self.cell.judge().done)
        if self._tick % self._every["images"] == 0:
            self._publish_images(stamp)

    def _publish_images(self, stamp: Any) -> None:
        for camera, (image, info, calibration) in self._cameras.items():
            frame = f"{camera}_optical_frame"
            if info.get_subscription_count():
                calibration.header.stamp, calibration.header.frame_id = stamp, frame
                info.publish(calibration)
            if image.get_subscription_count():
                image.publish(messages.image_message(self.cell.render(camera), stamp, frame))
                self._meter.count(camera)

    def _report_success(self, success: bool) -> None:
        if success != self._success:
            self._success = success
            self._success_topic.publish(Bool(data=success))

    def _reset(self, seed: int) -> None:
        self.cell.reset(seed, pause=self.graph.pause)
        start = self.cell.start_action
        for arm, inbox in enumerate(self._inboxes):
            inbox.restart(self.cell.motor_units(start[7 * arm : 7 * arm + 7]))
        self._report_success(False)
        self._reset_at = self.time

    def _serve_resets(self) -> None:
        while not self._resets.empty():
            request, response, done = self._resets.get()
            self._reset(request.seed)
            response.success = True
            response.instruction = self.cell.settings.instruction
            response.object_pose = self.cell.object_poses.ravel().tolist()
            self._quieting.append(done)
        if self._quieting and not self._quiet:
            while self._quieting:
                self._quieting.pop().set()

    def _publish_diagnostics(self, pacer: Pacer) -> None:
        factor, rates = self._meter.read(self.time)
        wanted = self.graph.real_time_factor
        slow = f"runs at {factor:.2f} of real time, {wanted:.2f} wanted" if factor < 0.95 * wanted else ""
        status = [
            messages.status_message(
                "clock",
                slow,
                {"real_time_factor": f"{factor:.3f}", "given_up_s": f"{pacer.given_up:.2f}"},
            )
        ]
        for camera, (image, _, _) in self._cameras.items():
            listeners = image.get_subscription_count()
            values = {"rate_hz": f"{rates.get(camera, 0.0):.1f}", "listeners": str(listeners)}
            status.append(messages.status_message(camera, "", values))
        for arm, inbox in enumerate(self._inboxes):
            refused, self._refused[arm] = self._refused[arm], 0
            values = {
                "commands_hz": f"{rates.get(f'commands {arm}', 0.0):.1f}",
                "refused": str(refused),
                "holding": str(self._stop.raised or inbox.holding(self.time)),
            }
            problem = f"{refused} commands refused" if refused else ""
            status.append(messages.status_message(self.cell.settings.arms[arm], problem, values))
        report = DiagnosticArray(status=status)
        report.header.stamp = messages.to_stamp(self.time)
        self._diagnostics.publish(report)

    # -- callbacks -----------------------------------------------------------------------------------------------

    def _on_command(self, arm: int, message: JointState) -> None:
        if self._quiet:
            return
        stamp = messages.to_seconds(message.header.stamp)
        reason = self._inboxes[arm].receive(message.name, message.position, stamp=stamp or None, now=self.time)
        if not reason:
            return
        self._refused[arm] += 1
        kind = reason.split(" ", 1)[0] if not reason[0].isdigit() else "stale or uneven"
        if (arm, kind) not in self._complaints:  # a stream repeats its mistake fifty times a second
            self._complaints.add((arm, kind))
            self.get_logger().error(f"{self.graph.command_topics[arm]}: command refused, the arm holds: {reason}.")

    def _on_stop(self, raised: bool) -> None:
        self.get_logger().warn("emergency stop raised: arms hold" if raised else "emergency stop lowered")

    def _on_reset(self, request: ResetCell.Request, response: ResetCell.Response) -> ResetCell.Response:
        task = self.cell.settings.task
        if request.task not in ("", task):
            response.message = f"task {request.task!r} is not this cell's, which is {task!r}. Restart it with task set."
            return response
        done = threading.Event()
        self._resets.put((request, response, done))
        if not done.wait(RESET_TIMEOUT):
            response.success, response.message = False, "the cell's physics loop does not run. Restart the node."
        return response

    def _open_interfaces(self) -> None:
        graph, settings = self.graph, self.cell.settings
        self._time_topic = self.create_publisher(Clock, "/clock", 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._success_topic = self.create_publisher(Bool, "/task_success", LATCHED)
        self._success_topic.publish(Bool(data=False))
        self._states = [self.create_publisher(JointState, topic, STATES) for topic in graph.state_topics]
        self._cameras = {}
        for camera, topic in zip(settings.cameras, graph.image_topics, strict=True):
            fovy = float(self.cell.model.camera(camera).fovy[0])
            self._cameras[camera] = (
                self.create_publisher(Image, topic, SENSOR_DATA),
                self.create_publisher(CameraInfo, topic.rsplit("/", 1)[0] + "/camera_info", SENSOR_DATA),
                messages.camera_info_message(settings.image_width, settings.image_height, fovy),
            )
        for arm, topic in enumerate(graph.command_topics):
            self.create_subscription(JointState, topic, partial(self._on_command, arm), COMMANDS)
        self._stop = EmergencyStop(self, self._on_stop)
        self.create_service(ResetCell, "/sim/reset", self._on_reset)


def main(args: list[str] | None = None) -> int:
    """Run the node until Ctrl-C."""
    stop = threading.Event()
    # Our own handlers: the loop ends between two ticks, with the context still alive for what it publishes last.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        node = CellNode()
    except (SimError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"cell_node: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    callbacks = SpinningThread(node)
    try:
        node.run(stop)
    except SimError as error:
        print(f"cell_node: {error}", file=sys.stderr)
        return 1
    finally:
        callbacks.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
