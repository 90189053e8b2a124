"""Have followers do what leaders do."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from aloha_hardware.managed_node import ManagedNode
from aloha_hardware.teleop.following import Phase, Seen, Teleoperation
from aloha_hardware.teleop.gravity import GravityCompensation
from aloha_hardware.teleop.parameters import declare_settings
from aloha_nodes import polling
from aloha_nodes.emergency_stop import EmergencyStop
from aloha_nodes.qos import COMMANDS, LATCHED, SENSOR_DATA
from aloha_nodes.running import run

NANO = 1e-9
STOPPED = "the emergency stop is raised; release it first"
FAREWELL = 0.5  # [s] for leaders to answer before the node goes


class TeleopNode(ManagedNode):
    """Lead both followers.

    Reads /<arm>/joint_states of leaders and followers, publishes /<follower>/joint_commands, /teleop/state (what it
    does and why, latched) and /diagnostics; obeys /emergency_stop and the faults of all arms (/<arm>/fault). Services:
    ~/pause and ~/resume (Trigger).

    Whatever is wrong, it commands nothing, and the drivers hold the followers. Only a person sets them in motion
    again: after a pause, a fault, a lost arm, a jump or an emergency stop the followers are aligned anew.

    Parameters:
        gravity_compensation: service name below a leader's namespace (SetBool) that is told when leaders are in use,
            such as the vendor's gravity_compensation_enable, again and again until it confirms; empty: leaders are
            balanced by springs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("teleop", **options)
        self.settings = declare_settings(self)
        gravity = self.declare(
            "gravity_compensation", "", "SetBool service below a leader's namespace, told when leaders are in use."
        )
        self._lock = threading.Lock()
        self._teleoperation = Teleoperation(self.settings)
        self._seen: dict[str, Seen] = {}
        self._active = False
        self._told, self._ticks = "", 0
        self._gravity = GravityCompensation(
            self, [f"/{leader}/{gravity}" for leader in self.settings.leaders if gravity]
        )
        self._open_interfaces()

    # Lifecycle ------------------------------------------------------------------------------------------------------

    def activate(self) -> None:
        with self._lock:
            before, self._teleoperation = self._teleoperation, Teleoperation(self.settings)
            self._teleoperation.stop(before.stopped)
            self._teleoperation.faults = before.faults
            self._seen.clear()
            self._active = True

    def deactivate(self) -> None:
        with self._lock:
            self._active = False
            self._gravity.tell(False)
        end = time.monotonic() + FAREWELL  # a request of a node that is gone by then may be lost
        while self._gravity.waiting and time.monotonic() < end:
            time.sleep(0.01)
        if self._gravity.waiting:
            self.get_logger().warning("A leader did not confirm that it is out of use: is it still balanced?")

    # Topics and services --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take the newest joint states where they are used: an executor that wakes for each costs most of a core."""
        for arm, states in self._arms.items():
            message = polling.take(states)
            if message is not None:
                self._on_state(arm, message)

    def _on_state(self, arm: str, message: JointState) -> None:
        positions = dict(zip(message.name, message.position, strict=False))
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * NANO
        joints = np.array([positions.get(name, np.nan) for name in self.settings.joint_names])
        with self._lock:
            self._seen[arm] = Seen(joints, stamp)

    def _on_stop(self, raised: bool) -> None:
        with self._lock:
            self._teleoperation.stop(STOPPED if raised else "")

    def _on_fault(self, arm: str, message: String) -> None:
        with self._lock:
            self._teleoperation.set_fault(arm, message.data.strip())

    def _pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._teleoperation.pause()
        response.success, response.message = True, "paused, the followers hold"
        return response

    def _resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            obstacle = self._teleoperation.stopped or self._teleoperation.fault
            if not obstacle:
                self._teleoperation.resume()
        response.success = not obstacle
        response.message = obstacle or "the followers align when everything is there"
        return response

    # Work -----------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.get_clock().now()
        self._look()
        with self._lock:
            commands = self._teleoperation.tick(now.nanoseconds * NANO, self._seen) if self._active else {}
            phase, reason = self._teleoperation.phase, self._teleoperation.reason
            self._ticks += bool(commands)
            self._gravity.tell(self._active and phase in (Phase.ALIGNING, Phase.FOLLOWING))
        for follower, positions in commands.items():
            message = JointState(name=list(self.settings.joint_names), position=positions.tolist())
            message.header.stamp = now.to_msg()
            self._commands[follower].publish(message)
        if self._active:
            self._tell(phase, reason)

    def _tell(self, phase: Phase, reason: str) -> None:
        words = f"{phase.value}: {reason}" if reason else phase.value
        if words.split(" rad")[0] != self._told.split(" rad")[0]:
            self._told = words
            self._state.publish(String(data=words))
            self.get_logger().info(words)

    def _report(self) -> None:
        with self._lock:
            now = self.get_clock().now().nanoseconds * NANO
            ages = {name: now - seen.time for name, seen in self._seen.items()}
            phase, reason, ticks = self._teleoperation.phase, self._teleoperation.reason, self._ticks
            self._ticks = 0
        mode, well = phase.value, phase in (Phase.ALIGNING, Phase.FOLLOWING)
        if not self._active:
            mode, reason, well = "inactive", "", True
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK if well else DiagnosticStatus.WARN,
            name="teleop",
            message=reason or mode,
            values=[KeyValue(key="mode", value=mode), KeyValue(key="commands per second", value=str(ticks))],
        )
        status.values += [KeyValue(key=f"{name} age [s]", value=f"{age:.3f}") for name, age in ages.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _open_interfaces(self) -> None:
        settings, group = self.settings, MutuallyExclusiveCallbackGroup()
        self._commands = {
            follower: self.create_publisher(JointState, f"/{follower}/joint_commands", COMMANDS)
            for follower in settings.followers
        }
        self._state = self.create_publisher(String, "/teleop/state", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._arms = {
            arm: polling.subscribe(self, JointState, f"/{arm}/joint_states", SENSOR_DATA)
            for arm in (*settings.leaders, *settings.followers)
        }
        EmergencyStop(self, self._on_stop, group)
        for arm in self._arms:
            self.create_subscription(
                String, f"/{arm}/fault", partial(self._on_fault, arm), LATCHED, callback_group=group
            )
        self.create_service(Trigger, "~/pause", self._pause)
        self.create_service(Trigger, "~/resume", self._resume)
        self.create_timer(settings.period, self._tick, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_timer(1.0, self._report, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))


def main() -> int:
    """Run the node."""
    return run(TeleopNode)


if __name__ == "__main__":
    sys.exit(main())
