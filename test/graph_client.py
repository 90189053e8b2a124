"""A client of the whole graph: chunks for the executor, and what the arms did with them."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.action_client import ActionClient
from cosmos_policy.errors import NoAnswer, ObservationUnavailable
from cosmos_policy.messages import chunk_message
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy.run_task import wait_for
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import ExecuteChunk
from cosmos_policy_msgs.msg import ActionChunk, Observation

PATIENCE = 20.0  # [s]


class GraphClient(AbstractContextManager["GraphClient"]):
    """Sees what the planner sees, and commands the executor directly."""

    def __init__(self, contract: Embodiment) -> None:
        self.contract = contract
        self._context = Context()
        self._context.init()
        simulated = Parameter("use_sim_time", value=True)
        self._node = Node("graph_client", context=self._context, parameter_overrides=[simulated])
        self._observations = ObservationBuffer(contract)
        self._observations.subscribe(self._node)
        self._action = ActionClient(self._node, ExecuteChunk, "/execute_chunk")
        self._spinning = SpinningThread(self._node, threads=2, context=self._context)

    def __exit__(self, *_: object) -> None:
        self._spinning.stop()
        self._node.destroy_node()
        self._context.try_shutdown()

    def observe(self) -> Observation:
        """Take a fresh observation."""
        since = self._node.get_clock().now()
        ticker = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            try:
                return self._observations.take("", self._node.get_clock().now(), since=since)
            except ObservationUnavailable as missing:
                reason = str(missing)
                ticker.wait(0.02)
        raise NoAnswer(reason)

    def pose(self) -> NDArray[np.float64]:
        """Measured joints (A,)."""
        return np.asarray(self.observe().proprio)

    def chunk(self, joint: str, distance: float, steps: int | None = None) -> ActionChunk:
        """A smooth motion of one joint from the start pose by a distance [rad], the other joints at rest."""
        horizon = steps or self.contract.chunk_horizon
        actions = np.tile(self.contract.start_action, (horizon, 1))
        progress = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, horizon + 1) / horizon)
        actions[:, self.contract.joint_names.index(joint)] += distance * progress
        observation = self.observe()
        stamp = self._node.get_clock().now().to_msg()
        return chunk_message(actions, self.contract, observation_stamp=observation.header.stamp, stamp=stamp)

    def send(self, chunk: ActionChunk, steps: int = 0, policy: int = ExecuteChunk.Goal.REPLACE_NOW) -> Running:
        """Start a chunk."""
        assert self._action.wait_for_server(PATIENCE)
        return Running(self._action, ExecuteChunk.Goal(chunk=chunk, steps=steps, policy=policy))

    def execute(self, chunk: ActionChunk, steps: int = 0) -> ExecuteChunk.Result:
        """Run a chunk to its end."""
        return self.send(chunk, steps).result()


class Running:
    """A chunk under way."""

    def __init__(self, action: ActionClient, goal: ExecuteChunk.Goal) -> None:
        self._moved = threading.Event()
        self._handle = action.send(goal, PATIENCE, self._on_feedback)
        assert self._handle.accepted
        self._ended = self._handle.get_result_async()
        self._ended.add_done_callback(lambda _: self._moved.set())

    def _on_feedback(self, message: Any) -> None:
        if message.feedback.step >= 5:
            self._moved.set()

    def wait_until_it_moves(self) -> None:
        """Wait for the sixth action; a chunk that ends before it says why."""
        assert self._moved.wait(PATIENCE), "no feedback and no result"
        assert not self._ended.done(), self._ended.result().result

    def cancel(self) -> None:
        """Cancel."""
        wait_for(self._handle.cancel_goal_async(), PATIENCE, "/execute_chunk")

    def result(self) -> ExecuteChunk.Result:
        """Wait for the end."""
        return wait_for(self._ended, PATIENCE, "/execute_chunk").result
