"""A chunk executor and two fake arms over real DDS, for the executor's tests."""

from __future__ import annotations

import array
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from aloha_nodes.emergency_stop import SERVICE, STATE, TOPIC
from aloha_nodes.spinning import spinning
from cosmos_policy.action_client import ActionClient
from cosmos_policy.chunk_executor_node import ChunkExecutorNode
from cosmos_policy.emergency_stop_node import EmergencyStopNode
from cosmos_policy.messages import chunk_message
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import ActionSpace
from cosmos_policy_msgs.action import ExecuteChunk

Result = ExecuteChunk.Result
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PATIENCE = 10.0  # [s]
DOMAIN = 1 + os.getpid() % 100


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited {patience} s for {what}"
        time.sleep(0.005)


class FakeArms(Node):  # type: ignore[misc]
    """Two perfect arms: they stand where the last command put them, and say so 50 times a second."""

    def __init__(self, contract: Embodiment, **options: Any) -> None:
        super().__init__("fake_arms", **options)
        self.contract = contract
        self.space = ActionSpace.from_contract(contract)
        self.action = contract.start_action
        self.received: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in contract.arms]
        self.silent: set[str] = set()
        self._publishers = [self.create_publisher(JointState, arm.state_topic, 10) for arm in contract.arms]
        for index, arm in enumerate(contract.arms):
            self.create_subscription(JointState, arm.command_topic, lambda m, i=index: self._on_command(i, m), 100)
        self._timer = self.create_timer(1.0 / contract.state_rate, self._publish)

    def commands(self) -> NDArray[np.float64]:
        """(N, A) actions commanded so far, in action space."""
        count = min(len(messages) for messages in self.received)
        rows = [
            (np.array([row for _, row in messages[:count]]) - arm.offset) / arm.scale
            for arm, messages in zip(self.space.arms, self.received, strict=True)
        ]
        return np.concatenate(rows, axis=1) if count else np.empty((0, self.space.size))

    def _on_command(self, index: int, message: JointState) -> None:
        arm = self.space.arms[index]
        assert tuple(message.name) == arm.joint_names
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        row = np.array(message.position)
        self.received[index].append((stamp, row))
        self.action[arm.part] = (row - arm.offset) / arm.scale

    def _publish(self) -> None:
        for arm, channel, publisher in zip(self.contract.arms, self.space.arms, self._publishers, strict=True):
            if arm.name in self.silent:
                continue
            values = np.empty(len(channel.joint_names))
            channel.write_command(self.action, values)
            message = JointState(name=[*channel.joint_names, "left_finger", "right_finger"])
            message.position = array.array("d", [*values, 0.03, -0.03])
            message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(message)


class Client(Node):  # type: ignore[misc]
    """What a planner and a person can do to the executor."""

    def __init__(self, contract: Embodiment, **options: Any) -> None:
        super().__init__("client", **options)
        self.contract = contract
        self.actions = ActionClient(self, ExecuteChunk, "/execute_chunk")
        self.stop_topic = self.create_publisher(Bool, TOPIC, 1)
        self.stop_service = self.create_client(SetBool, SERVICE)
        self.fault_topic = self.create_publisher(String, "/follower_right/fault", LATCHED)
        self.stops: list[bool] = []
        self.create_subscription(Bool, STATE, lambda message: self.stops.append(message.data), LATCHED)
        self.feedback: list[ExecuteChunk.Feedback] = []

    def destroy_node(self) -> None:
        self.actions.destroy()
        super().destroy_node()

    def goal(
        self,
        actions: NDArray[np.float64],
        steps: int = 0,
        policy: int = ExecuteChunk.Goal.REPLACE_NOW,
        mode: int = ExecuteChunk.Goal.HOLD,
    ) -> ExecuteChunk.Goal:
        now = self.get_clock().now().to_msg()
        chunk = chunk_message(actions, self.contract, observation_stamp=now, stamp=now)
        return ExecuteChunk.Goal(chunk=chunk, steps=steps, policy=policy, mode=mode)

    def send(self, goal: ExecuteChunk.Goal) -> ClientGoalHandle:
        """Send a goal and wait for its acceptance."""
        assert self.actions.wait_for_server(timeout_sec=PATIENCE)
        handle = self.actions.send(goal, PATIENCE, lambda message: self.feedback.append(message.feedback))
        assert handle.accepted
        return handle

    def result(self, handle: ClientGoalHandle) -> tuple[int, ExecuteChunk.Result]:
        """Wait for (status, result)."""
        future = handle.get_result_async()
        wait_until(future.done, "the result")
        return future.result().status, future.result().result

    def run(self, goal: ExecuteChunk.Goal) -> ExecuteChunk.Result:
        return self.result(self.send(goal))[1]

    def set_stop(self, raised: bool) -> str:
        assert self.stop_service.wait_for_service(timeout_sec=PATIENCE)
        future = self.stop_service.call_async(SetBool.Request(data=raised))
        wait_until(future.done, "the stop service")
        return str(future.result().message)


class Rig:
    """Executor, arms and client, each pair of them connected."""

    def __init__(self, executor: ChunkExecutorNode | None, arms: FakeArms, client: Client) -> None:
        self.node, self.arms, self.client = executor, arms, client
        self.contract = arms.contract

    def still(self) -> NDArray[np.float64]:
        """A chunk that stays where the arms are."""
        return np.tile(self.arms.action, (self.contract.chunk_horizon, 1))

    def sway(self, speed: float = 0.4) -> NDArray[np.float64]:
        """A chunk that moves every joint from where the arms are, [rad/s]."""
        travel = np.arange(1, self.contract.chunk_horizon + 1) * self.contract.period * speed
        direction = np.where(self.arms.action > 0.5, -1.0, 1.0)
        return np.clip(
            self.arms.action + np.outer(travel, direction), self.contract.action_lower, self.contract.action_upper
        )

    def wait_for_states(self) -> None:
        assert self.node is not None
        wait_until(lambda: self.node._states.complete, "joint states of both arms")

    def state_age(self) -> float:
        """Age of the older arm's state at the executor [s]."""
        assert self.node is not None
        return self.node._states.age(self.node.get_clock().now().nanoseconds * 1e-9)

    def commanded(self) -> int:
        return len(self.arms.received[0])


def write_patient_contract() -> Path:
    """Write a contract that forgives a busy test machine half a second of silence."""
    shipped = Embodiment.load("aloha_sim")
    contract = shipped.model_copy(update={"safety": shipped.safety.model_copy(update={"state_silence_periods": 24.0})})
    file = Path(tempfile.mkdtemp(prefix="chunk_executor_")) / "patient.yaml"
    file.write_text(contract.to_yaml())
    return file


PATIENT = write_patient_contract()


@contextmanager
def rig(active: bool = True, arms_silent: bool = False, sim_time: bool = False) -> Iterator[Rig]:
    """Bring executor, arms and client up, connected; take them down again."""
    contract = Embodiment.load(PATIENT)
    clock = [rclpy.parameter.Parameter("use_sim_time", value=True)] if sim_time else []
    embodiment = rclpy.parameter.Parameter("embodiment", value=str(PATIENT))
    node = ChunkExecutorNode(parameter_overrides=[embodiment, *clock])
    arms, client = FakeArms(contract, parameter_overrides=clock), Client(contract, parameter_overrides=clock)
    owner = EmergencyStopNode()
    if arms_silent:
        arms.silent |= {arm.name for arm in contract.arms}
    with (
        spinning(node),
        spinning(arms, client, owner),
    ):
        node.trigger_configure()
        if active:
            node.trigger_activate()
        assert node.state == ("active" if active else "inactive")
        wait_until(lambda: all(arms.count_publishers(arm.command_topic) for arm in contract.arms), "the command topics")
        wait_until(lambda: client.stop_topic.get_subscription_count() >= 1, "the stop's subscribers")
        made = Rig(node, arms, client)
        if not arms_silent and not sim_time:
            made.wait_for_states()
        try:
            yield made
        finally:
            node.stop()
