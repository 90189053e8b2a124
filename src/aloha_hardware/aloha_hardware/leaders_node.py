"""Leaders without arms, to try teleoperation: a rehearsed motion, or keys in a terminal."""

from __future__ import annotations

import contextlib
import sys
import termios
import threading
import tty
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.errors import SettingsError
from aloha_hardware.managed_node import ManagedNode
from aloha_hardware.teleop.simulated import KEYS, KeyedLeaders, rehearsed
from aloha_nodes.qos import STATES
from aloha_nodes.running import run

SOURCES = ("scripted", "keyboard")
NANO = 1e-9


class LeadersNode(ManagedNode):
    """Publish /<leader>/joint_states of leaders that do not exist.

    Parameters:
        source: scripted, the same slow motion of both; keyboard, keys jog one leader at a time.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("leaders", **options)
        self.source = self.declare("source", "scripted", f"What moves them: {' or '.join(SOURCES)}.")
        defaults = ArmSettings()
        self._leaders = tuple(self.declare("leaders", ["leader_left", "leader_right"], "Names of the leaders."))
        self._joints = list(
            self.declare("joint_names", list(defaults.joint_names), "Names in the joint states, the gripper last.")
        )
        self._start = self.declare(
            "start_pose", list(defaults.start_pose), "Where they begin [rad], the gripper 0 closed .. 1 open."
        )
        self._gripper = self.declare("leader_gripper", [-0.6842, 0.3083], "Motor angles, closed and open [rad].")
        lower = self.declare("lower", list(defaults.lower), "Limits of the joints [rad].")
        upper = self.declare("upper", list(defaults.upper), "Limits of the joints [rad].")
        self._rate = self.declare("rate", 50.0, "Of joint states [Hz].", minimum=1.0, maximum=500.0)
        if self.source not in SOURCES:
            raise SettingsError(f"leaders: source: '{self.source}' is unknown. Use one of: {', '.join(SOURCES)}.")
        low, high = np.array([*lower[:-1], self._gripper[0]]), np.array([*upper[:-1], self._gripper[1]])
        self._keyed = KeyedLeaders(self._leaders, self._start, low, high)
        self._began: float | None = None
        self._done = threading.Event()
        self._keys: threading.Thread | None = None
        self._states = {
            leader: self.create_publisher(JointState, f"/{leader}/joint_states", STATES) for leader in self._leaders
        }
        self.create_timer(1.0 / self._rate, self._tick)

    def configure(self) -> None:
        if self.source == "keyboard" and not sys.stdin.isatty():
            raise SettingsError(
                "leaders: the keyboard needs a terminal of its own. Run there: "
                "ros2 run aloha_hardware leaders_node --ros-args -p source:=keyboard"
            )

    def activate(self) -> None:
        self._began = self._now()
        if self.source == "keyboard":
            print(_help(), flush=True)
            self._done.clear()
            self._keys = threading.Thread(target=self._read_keys, name="keys", daemon=True)
            self._keys.start()

    def deactivate(self) -> None:
        self._began = None
        self._done.set()
        if self._keys is not None:
            self._keys.join(timeout=1.0)

    def _tick(self) -> None:
        if self._began is None:
            return
        stamp, seconds = self.get_clock().now().to_msg(), self._now() - self._began
        for leader, publisher in self._states.items():
            scripted = self.source == "scripted"
            pose = rehearsed(self._start, self._gripper, seconds) if scripted else self._keyed.poses[leader]
            message = JointState(name=self._joints, position=array("d", pose))
            message.header.stamp = stamp
            publisher.publish(message)

    def _read_keys(self) -> None:
        import select

        with _raw_terminal():
            while not self._done.is_set():
                if select.select([sys.stdin], [], [], 0.2)[0]:
                    words = self._keyed.press(sys.stdin.read(1))
                    if words:
                        print(f"\r{words}          ", end="", flush=True)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * NANO)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Hand over single keys, Ctrl-C left as it is, and put the terminal back."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _help() -> str:
    up = " ".join(key for key, (_, sign) in KEYS.items() if sign > 0)
    down = " ".join(key for key, (_, sign) in KEYS.items() if sign < 0)
    return (
        f"waist shoulder elbow forearm wrist-angle wrist-turn gripper\n  up:   {up}\n  down: {down}\n"
        "  Tab: the other arm; Ctrl-C: end"
    )


def main() -> int:
    """Run the node."""
    return run(LeadersNode)


if __name__ == "__main__":
    sys.exit(main())
