"""The executor's topics to and from the arms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from aloha_nodes import polling
from aloha_nodes.events import NO_PUBLISHER_EVENTS, NO_SUBSCRIPTION_EVENTS
from aloha_nodes.qos import COMMANDS, LATCHED, SENSOR_DATA
from cosmos_policy.messages import seconds
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import ActionSpace, JointStates


class ArmLinks:
    """Joint states in, joint commands out, for all arms of a contract.

    Joint states are polled: only what is there at a tick is used.

    `/<arm>/fault` (std_msgs/String, latched) is where a driver says in words that its arm cannot move; empty is well.
    Publishing allocates nothing: each arm's message is written in place.
    """

    def __init__(
        self,
        node: Node,
        contract: Embodiment,
        on_fault: Callable[[str, str], None],
        callback_group: CallbackGroup,
    ) -> None:
        self._node = node
        self.space = ActionSpace.from_contract(contract)
        self._publishers = [
            node.create_publisher(JointState, arm.command_topic, COMMANDS, event_callbacks=NO_PUBLISHER_EVENTS)
            for arm in contract.arms
        ]
        self._messages = [
            JointState(name=list(arm.joint_names), position=[0.0] * len(arm.joint_names)) for arm in self.space.arms
        ]
        self._positions = [np.frombuffer(message.position, dtype=np.float64) for message in self._messages]
        subscribe = partial(
            node.create_subscription, callback_group=callback_group, event_callbacks=NO_SUBSCRIPTION_EVENTS
        )
        self._states = [polling.subscribe(node, JointState, arm.state_topic, SENSOR_DATA) for arm in contract.arms]
        self._faults = [
            subscribe(String, f"/{arm.name}/fault", partial(_forward_fault, on_fault, arm.name), LATCHED)
            for arm in contract.arms
        ]

    def poll(self, states: JointStates) -> None:
        """Hand the newest joint states of every arm to the core."""
        for arm, subscription in enumerate(self._states):
            message = polling.take(subscription)
            if message is not None:
                take_state(states, arm, message)

    def publish(self, command: NDArray[np.float64], now: Time) -> None:
        """Send an (A,) action to every arm, under one stamp."""
        stamp = now.to_msg()
        for arm, publisher, message, positions in zip(
            self.space.arms, self._publishers, self._messages, self._positions, strict=True
        ):
            arm.write_command(command, positions)
            message.header.stamp = stamp
            publisher.publish(message)

    def close(self) -> None:
        """Give back all topics."""
        for subscription in (*self._states, *self._faults):
            self._node.destroy_subscription(subscription)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)


def take_state(states: JointStates, arm: int, message: JointState) -> bool:
    """Hand a joint state message to the core; return whether it was usable."""
    return states.update(arm, seconds(message.header.stamp), message.name, message.position)


def _forward_fault(on_fault: Callable[[str, str], None], arm: str, message: String) -> None:
    on_fault(arm, message.data.strip())
