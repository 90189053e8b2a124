"""The person at the robot: sends chunks and tasks, reads what the nodes say, calls their services."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from aloha_nodes.qos import COMMANDS, SENSOR_DATA
from aloha_nodes.spinning import SpinningThread
from cosmos_policy.action_client import ActionClient
from cosmos_policy.answers import wait_for
from cosmos_policy.errors import NoAnswer
from cosmos_policy.faults.processes import until
from cosmos_policy.messages import chunk_message, constant_name
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import ActionChunk
from cosmos_policy_msgs.srv import ProposeChunks

ANSWER = 20.0  # [s]
NEAR = 0.1  # [rad]
SETTLING = 0.3  # [s] after a service appears until it knows us too


class Operator:
    """A client of everything on the graph.

    Args:
        simulated_time: publish /clock too, for graphs that follow it.
    """

    def __init__(self, contract: Embodiment, simulated_time: bool = False) -> None:
        self.contract = contract
        self._context = Context()
        self._context.init()
        self.node = Node(
            "operator",
            context=self._context,
            parameter_overrides=[Parameter("use_sim_time", value=simulated_time)],
        )
        self._states: dict[str, JointState] = {}
        self.said: list[tuple[float, bytes, str]] = []
        self.commands: list[float] = []
        self._clock_offset = 0.0
        self._left = threading.Event()
        self._ticking: threading.Thread | None = None
        self._actions = {
            "/execute_chunk": ActionClient(self.node, ExecuteChunk, "/execute_chunk"),
            "/run_task": ActionClient(self.node, RunTask, "/run_task"),
        }
        self._clients: dict[str, Any] = {}
        self._listen()
        if simulated_time:
            self._clock = self.node.create_publisher(Clock, "/clock", 10)
            self._ticking = threading.Thread(target=self._tick, name="clock", daemon=True)
            self._ticking.start()
        self._spinning = SpinningThread(self.node, context=self._context)

    def close(self) -> None:
        """Leave the graph."""
        self._left.set()
        if self._ticking is not None:
            self._ticking.join()
        self._spinning.stop()
        self.node.destroy_node()
        self._context.try_shutdown()

    # What is seen and heard -----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for arm in self.contract.arms:
            self.node.create_subscription(
                JointState, arm.state_topic, lambda message, arm=arm: self._on_state(arm.name, message), SENSOR_DATA
            )
            self.node.create_subscription(
                JointState, arm.command_topic, lambda message: self.commands.append(time.monotonic()), COMMANDS
            )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)

    def _on_state(self, arm: str, message: JointState) -> None:
        self._states[arm] = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        self.said += [
            (now, s.level, f"{s.name}: {s.message}") for s in message.status if s.level != DiagnosticStatus.OK
        ]

    def complaints(self, since: float) -> list[str]:
        """Return what the diagnostics complained about since a monotonic time [s], each once."""
        return list(dict.fromkeys(text for at, _, text in list(self.said) if at > since))

    def pose(self) -> NDArray[np.float64]:
        """Wait for joint states of both arms from now on and return (A,) the joints; grippers 0."""
        self._states.clear()
        until(lambda: len(self._states) == len(self.contract.arms), "joint states of both arms")
        values: list[float] = []
        for arm in self.contract.arms:
            message = self._states[arm.name]
            angles = dict(zip(message.name, message.position, strict=True))
            values += [*(angles[joint.name] for joint in arm.joints), 0.0]
        return np.array(values)

    # What is done ---------------------------------------------------------------------------------------------------

    def motion(self, distance: float) -> ActionChunk:
        """Make a smooth chunk: every waist and wrist_rotate turns by a distance [rad]."""
        pose = self.pose()
        return self._chunk(pose, {index: pose[index] + distance for index in self._turning()})

    def towards(self, offset: float) -> ActionChunk:
        """Make a smooth chunk: every waist and wrist_rotate goes to the start pose and an offset [rad]."""
        return self._chunk(
            self.pose(), {index: self.contract.start_action[index] + offset for index in self._turning()}
        )

    def is_at(self, offset: float) -> bool:
        """Tell whether the joints are where :meth:`towards` sent them."""
        pose = self.pose()
        return all(abs(pose[index] - self.contract.start_action[index] - offset) < NEAR for index in self._turning())

    def _turning(self) -> list[int]:
        names = enumerate(self.contract.joint_names)
        return [index for index, name in names if name.endswith(("/waist", "/wrist_rotate"))]

    def _chunk(self, pose: NDArray[np.float64], targets: Mapping[int, float]) -> ActionChunk:
        horizon = self.contract.chunk_horizon
        actions = np.tile(pose, (horizon, 1))
        progress = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, horizon + 1) / horizon)
        for index, target in targets.items():
            actions[:, index] += (target - pose[index]) * progress
        now = self.node.get_clock().now().to_msg()
        return chunk_message(actions, self.contract, observation_stamp=now, stamp=now)

    def execute(
        self, chunk: ActionChunk, policy: int = ExecuteChunk.Goal.REPLACE_NOW, patience: float = ANSWER
    ) -> Running:
        """Send a chunk to the executor, which answers within `patience` [s]."""
        return Running(self._server("/execute_chunk"), ExecuteChunk.Goal(chunk=chunk, policy=policy), patience)

    def task(self, instruction: str, max_chunks: int) -> Running:
        """Send a task to the planner."""
        goal = RunTask.Goal(instruction=instruction, max_chunks=max_chunks)
        return Running(self._server("/run_task"), goal)

    def trigger(self, name: str) -> str:
        """Call a Trigger service and return its message; raises NoAnswer where it refuses."""
        return self._answer(name, Trigger, Trigger.Request())

    def stop(self, raised: bool) -> str:
        """Raise or release the emergency stop."""
        return self._answer("/emergency_stop/set", SetBool, SetBool.Request(data=raised))

    def change_state(self, node: str, transition: int) -> None:
        """Ask a managed node for a transition (an id of lifecycle_msgs)."""
        request = ChangeState.Request()
        request.transition.id = transition
        if not self._call(f"{node}/change_state", ChangeState, request).success:
            raise NoAnswer(f"{node}: transition {transition} failed. Read its log.")

    def jump(self, seconds: float) -> None:
        """Set the clock."""
        self._clock_offset += seconds

    def wait_for_policy(self) -> None:
        """Wait until a policy answers that it is there."""
        name = "/policy/propose_chunks"

        def answers() -> bool:
            with contextlib.suppress(NoAnswer):
                self._call(name, ProposeChunks, ProposeChunks.Request(n=0), 1.0)
                return True
            return False

        until(answers, name)

    def _server(self, name: str) -> ActionClient:
        client = self._actions[name]
        until(client.server_answers, name)
        return client

    def _answer(self, name: str, kind: Any, request: Any) -> str:
        response = self._call(name, kind, request)
        if not response.success:
            raise NoAnswer(f"{name}: {response.message}")
        return str(response.message)

    def _call(self, name: str, kind: Any, request: Any, patience: float = ANSWER) -> Any:
        client = self._clients.get(name) or self.node.create_client(kind, name)
        self._clients[name] = client
        if not client.service_is_ready():
            until(client.service_is_ready, name)
            time.sleep(SETTLING)
        return wait_for(client.call_async(request), patience, name)

    def _tick(self) -> None:
        while not self._left.wait(0.01):
            now = time.time() + self._clock_offset
            message = Clock()
            message.clock.sec, message.clock.nanosec = int(now), int(now % 1 * 1e9)
            self._clock.publish(message)


class Running:
    """A goal under way."""

    def __init__(self, client: ActionClient, goal: Any, patience: float = ANSWER) -> None:
        self.kind = ExecuteChunk if isinstance(goal, ExecuteChunk.Goal) else RunTask
        self._step = 0
        self.waiting_for: list[str] = []
        self._handle = self._send(client, goal, patience)
        self._ended = self._handle.get_result_async()

    def _send(self, client: ActionClient, goal: Any, patience: float) -> Any:
        handle = client.send(goal, patience, self._on_feedback)
        if not handle.accepted:
            raise NoAnswer("the goal was rejected.")
        return handle

    def _on_feedback(self, message: Any) -> None:
        feedback = message.feedback
        self._step = feedback.step
        waiting = getattr(feedback, "waiting_for", "")
        if waiting and waiting not in self.waiting_for:
            self.waiting_for.append(waiting)

    def wait_for_step(self, step: int) -> None:
        """Wait until it has commanded so many actions; one that ended before says why."""
        until(lambda: self._step >= step or self._ended.done(), f"step {step}")
        if self._ended.done():
            raise NoAnswer(f"it ended at step {self._step}: {self.result()}")

    @property
    def ended(self) -> bool:
        """Whether its result is there."""
        return bool(self._ended.done())

    def result(self, patience: float = ANSWER) -> tuple[str, str]:
        """Wait for the end and return its reason by name and the message."""
        result = wait_for(self._ended, patience, "the result").result
        return constant_name(self.kind.Result, result.termination), result.message

    def cancel(self) -> None:
        """Cancel."""
        wait_for(self._handle.cancel_goal_async(), ANSWER, "cancel")
