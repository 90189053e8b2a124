"""Drive one arm: joint states out, joint commands in, and every reason not to move."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Empty, String
from std_srvs.srv import SetBool, Trigger

from aloha_hardware import arm_diagnostics
from aloha_hardware.arm import Arm
from aloha_hardware.arm_loop import OWN_STOPS, ArmLoop
from aloha_hardware.arm_parameters import declare_settings
from aloha_hardware.arm_reading import Reading
from aloha_hardware.arm_settings import FINGERS
from aloha_hardware.bus import BusCounts
from aloha_hardware.errors import HardwareError, MotionError
from aloha_hardware.managed_node import ManagedNode
from aloha_hardware.partners import Partners
from aloha_hardware.setpoints import Mode, Setpoints
from aloha_hardware.vendor_arm import VendorArm
from aloha_nodes import polling
from aloha_nodes.emergency_stop import EmergencyStop
from aloha_nodes.qos import COMMANDS, LATCHED, SENSOR_DATA, STATES
from aloha_nodes.running import run

ALIVE = Empty()

EMERGENCY = "emergency stop"
STOPPED = "the emergency stop is raised; release it first"
AT_POSE = 0.2  # [rad] from a pose that still counts as there
SETTLING = 0.5  # [s] without coming nearer, after which an arm will not reach its pose any more
NEARER = 0.01  # [rad]
NUMBERS = re.compile(r"[-+]?\d[\d.e+-]*")  # what differs between two tellings of one reason


class ArmDriverNode(ManagedNode):
    """Own one arm's bus.

    Publishes /<arm>/joint_states (seven joints and two fingers, SI), /<arm>/fault (latched; empty is well),
    /<arm>/stale (latched), /<arm>/alive (every cycle) and /diagnostics; follows /<arm>/joint_commands, which must carry
    stamps; obeys /emergency_stop, and the faults and the silence of its partners. Services: ~/go_to_start,
    ~/go_to_sleep, ~/reboot_motors (Trigger), ~/set_torque (SetBool).

    States are published only from complete reads: a joint that did not answer is never made up. The effort of a finger
    is not measured and reads 0. When the node ends, by Ctrl-C too, the arm stays held.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_driver", **options)
        self.settings = declare_settings(self)
        self._lock = threading.Lock()
        self._arm: Arm | VendorArm | None = None
        self._loop: ArmLoop | None = None
        self._complaints: dict[str, float] = {}
        self._counts = arm_diagnostics.Counts(BusCounts())
        self._told = ""
        self._message = JointState(name=[*self.settings.joint_names, *FINGERS])
        self._message.header.frame_id = f"{self.settings.arm}/base_link"
        self._open_interfaces()
        self._publish_fault("the driver is not active")

    # Lifecycle -----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        warn = self.get_logger().warning
        vendor = self.settings.backend == "interbotix"
        self._arm = VendorArm(self.settings, warn, now=self._now) if vendor else Arm(self.settings, warn)
        self._arm.open()

    def activate(self) -> None:
        arm = self.arm
        if self.settings.torque:
            arm.torque_on()
        setpoints = Setpoints(self.settings, arm.first_reading().position)
        self._partners.forget()
        for stop, text in list(self._partners.troubles.items()):
            setpoints.stop(stop, text)
        self._newest_command()  # one from before is nothing to follow
        self._loop = ArmLoop(arm, setpoints, self._lock, self)
        self._obey()  # what was raised before, or just now
        self._counts = arm_diagnostics.Counts.of(self._loop)
        self._loop.start()
        self.on_change()
        held = "holds" if self.settings.torque else "moves freely"
        self.get_logger().info(f"{self.settings.arm} on {self.settings.device}: ready, the arm {held}.")

    def deactivate(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.stop()
        self._publish_fault("the driver is not active")
        with self._lock:
            loop.setpoints.come_to_rest()
            pose = loop.setpoints.setpoint.copy()
            limp = "torque" in loop.setpoints.stops
        if self.arm.port.is_open and self.settings.torque and not limp:
            self.arm.write(pose)
            self.arm.let_hold()
            self.get_logger().info(f"{self.settings.arm}: the arm holds; its torque stays on.")

    def cleanup(self) -> None:
        if self._arm is not None:
            self._arm.close()
        self._arm = None

    @property
    def arm(self) -> Arm | VendorArm:
        """The arm behind the bus; only after configure."""
        assert self._arm is not None
        return self._arm

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    # From the loop's thread ----------------------------------------------------------------------------------------

    def on_cycle(self, elapsed: float) -> None:
        """Tell the partners that this loop runs, and hear whether theirs do."""
        self._alive.publish(ALIVE)
        self._partners.listen(elapsed)

    def on_reading(self, reading: Reading) -> None:
        """Publish joint states: stamp after the read, fingers through the linkage. Then take the newest command.

        The vendor's driver publishes them itself, on the same topic.
        """
        if self.settings.backend == "dynamixel":
            self._publish(reading)
        command = self._newest_command()
        if command is not None:
            self._on_command(command)

    def _publish(self, reading: Reading) -> None:
        stamp = self.get_clock().now()
        linkage, angle = self.settings.linkage, reading.position[-1]
        finger, speed = linkage.finger(angle), linkage.slope(angle) * reading.velocity[-1]
        message = self._message
        message.header.stamp = stamp.to_msg()
        message.position = array("d", [*reading.position, finger, -finger])
        message.velocity = array("d", [*reading.velocity, speed, -speed])
        message.effort = array("d", [*reading.effort, 0.0, 0.0])
        assert self._states is not None
        self._states.publish(message)

    def on_change(self) -> None:
        """Tell everyone what keeps this arm from moving."""
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            stops = dict(loop.setpoints.stops)
        self._publish_fault("; ".join(text for name, text in stops.items() if name in OWN_STOPS))
        self._stale.publish(Bool(data=loop.stale))

    def _publish_fault(self, text: str) -> None:
        text = self._spelled_out(text).rstrip(".")  # whoever passes it on goes on with a sentence of their own
        if text and text != self._told and self._loop is not None:
            self.get_logger().error(f"{self.settings.arm}: {text}.")
        self._told = text
        self._fault.publish(String(data=text))

    def _spelled_out(self, text: str) -> str:
        """Name services so that they can be called as they stand."""
        return text.replace("~/", f"{self.get_fully_qualified_name()}/")

    # Topics --------------------------------------------------------------------------------------------------------

    def _newest_command(self) -> JointState | None:
        """Take the command that waits in the middleware.

        Commands are taken where they are used, in the bus thread: each one that a thread of rclpy's took kept that
        thread at the interpreter's lock while the bus was due.
        """
        message: JointState | None = polling.take(self._commands)
        return message

    def _on_command(self, message: JointState) -> None:
        loop = self._loop
        if loop is None:
            return
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        with self._lock:
            age = self._now() - stamp if stamp else math.inf
            reason = loop.setpoints.receive(message.name, message.position, age, time.monotonic())
        if reason:
            self._complain(reason)

    def _complain(self, reason: str) -> None:
        """Say why commands are refused, each reason once a second: a stream repeats its mistake fifty times."""
        kind, now = NUMBERS.sub("", reason), time.monotonic()
        if now - self._complaints.get(kind, -1e9) > 1.0:
            self._complaints[kind] = now
            self.get_logger().error(
                f"{self.settings.arm}: command refused, the arm holds: {self._spelled_out(reason)}."
            )

    def _on_stop(self, raised: bool) -> None:
        self._obey()
        self.get_logger().warning(
            f"{self.settings.arm}: emergency stop {'raised, the arm holds' if raised else 'released'}."
        )

    def _obey(self) -> None:
        loop = self._loop
        if loop is None:
            return
        with self._lock:  # asked here: a stop that changes during activation is neither missed nor kept
            if self._emergency.raised:
                loop.setpoints.stop(EMERGENCY, STOPPED)
            else:
                loop.setpoints.lift(EMERGENCY)

    def _set_stop(self, name: str, text: str) -> None:
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            if text:
                loop.setpoints.stop(name, text)
            else:
                loop.setpoints.lift(name)

    def _report(self) -> None:
        loop = self._loop
        if loop is None:
            status = arm_diagnostics.inactive(self.settings.arm, self.state)
        else:
            status = arm_diagnostics.report(loop, self._counts)
            self._counts = arm_diagnostics.Counts.of(loop)
            if loop.defect:
                self.get_logger().fatal(loop.defect)
                loop.defect = ""
        message = DiagnosticArray(status=status)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    # Services ------------------------------------------------------------------------------------------------------

    def _serve(self, action: Callable[[Any], str], request: Any, response: Any) -> Any:
        """Answer a service: what was done, or why not."""
        try:
            response.message, response.success = action(request), True
        except HardwareError as error:
            response.message, response.success = self._spelled_out(str(error)), False
            self.get_logger().warning(response.message)
        return response

    @property
    def _active_loop(self) -> ArmLoop:
        if self._loop is None:
            raise MotionError(f"{self.settings.arm}: the driver is {self.state}. Activate it first.")
        return self._loop

    def _go(self, poses: tuple[str, ...], request: Trigger.Request) -> str:
        for pose in poses:
            self._move(pose)
        return f"{self.settings.arm} is at its {poses[-1]} pose."

    def _move(self, pose: str) -> None:
        loop, goal = self._active_loop, self.settings.pose(pose)
        with self._lock:
            self._refuse_to_move(loop.setpoints)
            ramp_ends = time.monotonic() + loop.setpoints.move(goal, time.monotonic())
        # An arm may lag far behind its ramp, on a busy machine or under load: it is given up when it comes no nearer.
        nearest, give_up = float("inf"), ramp_ends + SETTLING
        while time.monotonic() < give_up and self._loop is loop:
            time.sleep(0.02)
            with self._lock:
                stops, mode = list(loop.setpoints.stops.values()), loop.setpoints.mode
                off = max(abs(a - b) for a, b in zip(loop.setpoints.measured[:-1], goal[:-1], strict=True))
            if stops:
                raise MotionError(f"{self.settings.arm}: stopped on the way to its {pose} pose: {stops[0]}.")
            if mode is Mode.HOLD and off < AT_POSE / 4:
                return
            if off < nearest - NEARER:
                nearest, give_up = off, max(ramp_ends, time.monotonic()) + SETTLING
        if self._loop is not loop:
            raise MotionError(f"{self.settings.arm}: the driver was deactivated on the way to its {pose} pose.")
        if off > AT_POSE:
            raise MotionError(f"{self.settings.arm}: {off:.2f} rad short of its {pose} pose. Is something in the way?")

    def _refuse_to_move(self, setpoints: Setpoints) -> None:
        if not self.settings.torque:
            raise MotionError(f"{self.settings.arm}: it is driven without torque. Set parameter torque: true.")
        if setpoints.stops:
            raise MotionError(f"{self.settings.arm}: {next(iter(setpoints.stops.values()))}.")
        if setpoints.fed(time.monotonic()):
            raise MotionError(f"{self.settings.arm}: joint commands are coming in. Deactivate their source first.")
        if setpoints.mode is Mode.MOVE:
            raise MotionError(f"{self.settings.arm}: a move to a pose is running. Wait until it has ended.")

    def _reboot(self, request: Trigger.Request) -> str:
        loop = self._active_loop
        loop.ask(loop.reboot)
        return f"{self.settings.arm} holds again."

    def _set_torque(self, request: SetBool.Request) -> str:
        loop = self._active_loop
        if request.data:
            loop.ask(loop.torque_on)
            return f"{self.settings.arm} holds."
        with self._lock:
            pairs = zip(loop.setpoints.measured[:-1], self.settings.pose("sleep")[:-1], strict=True)
            off = max(abs(measured - wanted) for measured, wanted in pairs)
        if off > AT_POSE:
            raise MotionError(
                f"{self.settings.arm}: it would fall, {off:.2f} rad from its sleep pose. Call ~/go_to_sleep first."
            )
        loop.ask(loop.torque_off)
        return f"{self.settings.arm} is limp."

    def _open_interfaces(self) -> None:
        settings, arm = self.settings, self.settings.arm
        moves = MutuallyExclusiveCallbackGroup()  # a move waits; a stop must not wait for it
        topics, swift = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        states = settings.state_topic or f"/{arm}/joint_states"
        self._states = self.create_publisher(JointState, states, STATES) if settings.backend == "dynamixel" else None
        self._fault = self.create_publisher(String, f"/{arm}/fault", LATCHED)
        self._stale = self.create_publisher(Bool, f"/{arm}/stale", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        commands = settings.command_topic or f"/{arm}/joint_commands"
        self._commands = polling.subscribe(self, JointState, commands, COMMANDS)
        self._emergency = EmergencyStop(self, self._on_stop, topics)
        self._alive = self.create_publisher(Empty, f"/{arm}/alive", SENSOR_DATA)
        self._partners = Partners(
            self, settings.partners, settings.command_timeout, 1.0 / settings.rate, self._set_stop, topics
        )
        for kind, name, action in (
            (Trigger, "~/go_to_start", partial(self._go, ("start",))),
            (Trigger, "~/go_to_sleep", partial(self._go, ("start", "sleep"))),
            (Trigger, "~/reboot_motors", self._reboot),
            (SetBool, "~/set_torque", self._set_torque),
        ):
            self.create_service(kind, name, partial(self._serve, action), callback_group=moves)
        self.create_timer(1.0, self._report, callback_group=swift, clock=Clock(clock_type=ClockType.STEADY_TIME))


def main() -> int:
    """Run the node."""
    return run(ArmDriverNode, sys.argv)


if __name__ == "__main__":
    sys.exit(main())
