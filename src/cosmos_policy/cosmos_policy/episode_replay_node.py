"""Play a recorded episode's actions back on the robot, through the chunk executor."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from aloha_nodes import parameters
from aloha_nodes.qos import SENSOR_DATA
from aloha_nodes.spinning import SpinningThread
from cosmos_policy.errors import NoAnswer, ReplayError
from cosmos_policy.replay.stream import MotionStream
from cosmos_policy_core.data.actions import recorded_actions
from cosmos_policy_core.data.messages import state_problem
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CosmosPolicyError, ObservationError
from cosmos_policy_core.execution.approach import approach, slowed

STATES_TIMEOUT = 30.0  # [s]


class EpisodeReplayNode(Node):
    """Bring the arms slowly to where an episode begins, then play its actions, then end.

    The chunk executor guards the motion: limits, emergency stop, lost joint states. An episode that was recorded under
    a contract whose numbers mean something else is refused before anything moves.
    """

    def __init__(self) -> None:
        super().__init__("episode_replay")
        embodiment = parameters.declare(self, "embodiment", "aloha", "Contract: a name that ships, or a YAML file.")
        self._episode = parameters.declare(self, "episode", "", "The bag or episode file to play.")
        self._speed = parameters.declare(
            self, "speed", 1.0, "1 is as recorded; less is slower.", minimum=0.05, maximum=1.0
        )
        self._delay = parameters.declare(
            self, "delay", 3.0, "Time to step back before anything moves [s].", minimum=0.0
        )
        self.contract = Embodiment.load(embodiment)
        self._states: dict[str, dict[str, float]] = {}
        for arm in self.contract.arms:
            self.create_subscription(JointState, arm.state_topic, partial(self._on_state, arm.name), SENSOR_DATA)
        self.stream = MotionStream(self, self.contract)

    def replay(self, ended: threading.Event) -> None:
        """Play the episode; setting `ended` brings the arms to rest.

        Raises:
            EpisodeError, ReplayError, NoAnswer: nothing moves, or the arms hold; says why.
        """

        def check() -> None:
            if ended.is_set():
                raise ReplayError("stopped; the arms hold")

        if not self._episode:
            raise ReplayError("parameter episode is empty. Give a bag: episode:=episodes/20261121_101500")
        actions = slowed(recorded_actions(Path(self._episode).expanduser(), self.contract), self._speed)
        start = self._pose(check)
        way = approach(start, actions[0], self.contract)
        seconds = [len(part) * self.contract.period for part in (way, actions)]
        self.get_logger().warning(
            f"the arms move in {self._delay:.0f} s: {seconds[0]:.1f} s to the start of {self._episode}, then "
            f"{seconds[1]:.1f} s as recorded"
        )
        self._wait(self._delay, check)
        self.stream.play(np.concatenate([way, actions]), check)
        self.get_logger().info("the episode was played to its end; the arms hold")

    def _pose(self, check: Callable[[], None]) -> NDArray[np.float64]:
        """Wait for both arms and return where they are, in action space."""
        deadline = time.monotonic() + STATES_TIMEOUT
        while True:
            check()
            try:
                return np.clip(
                    self.contract.proprio_from_states(dict(self._states)),
                    self.contract.action_lower,
                    self.contract.action_upper,
                )
            except ObservationError as error:
                if time.monotonic() > deadline:
                    raise NoAnswer(f"{error} (waited {STATES_TIMEOUT:.0f} s)") from None
            time.sleep(0.05)

    def _wait(self, seconds: float, check: Callable[[], None]) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            check()
            time.sleep(0.05)

    def _on_state(self, arm: str, message: JointState) -> None:
        if state_problem(message.name, message.position) is None:
            self._states[arm] = dict(zip(message.name, message.position, strict=False))


def main(args: list[str] | None = None) -> int:
    """Play one episode: 0 when it was played to its end, 1 when not."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        node = EpisodeReplayNode()
    except CosmosPolicyError as error:
        print(error, file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        return 1
    spinning = SpinningThread(node)
    try:
        node.replay(ended)
        return 0
    except CosmosPolicyError as error:
        node.get_logger().error(str(error))
        return 0 if ended.is_set() else 1
    finally:
        spinning.stop()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
