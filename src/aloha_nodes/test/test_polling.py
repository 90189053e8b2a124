"""Behaviour of topics that are polled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import Int32

from aloha_nodes import polling
from aloha_nodes.qos import COMMANDS
from aloha_nodes.spinning import SpinningThread

PATIENCE = 15.0  # [s] on a machine that does other things too


class Pair:
    """A publisher and a polled subscription, in a node that an executor spins."""

    def __init__(self) -> None:
        self.node = Node("pair")
        self.subscription = polling.subscribe(self.node, Int32, "/number", COMMANDS)
        self.publisher = self.node.create_publisher(Int32, "/number", COMMANDS)
        self.executor = SpinningThread(self.node)
        until(lambda: self.publisher.get_subscription_count() == 1)

    def say(self, number: int) -> None:
        self.publisher.publish(Int32(data=number))


def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds and return its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value


@pytest.fixture
def pair() -> Iterator[Pair]:
    rclpy.init()
    pair = Pair()
    yield pair
    pair.executor.stop()
    pair.node.destroy_node()
    rclpy.try_shutdown()


def test_nothing_is_taken_where_nothing_was_said(pair: Pair) -> None:
    assert polling.take(pair.subscription) is None
    assert polling.take_raw(pair.subscription) is None


def test_a_message_waits_for_whoever_polls_though_an_executor_spins_and_is_taken_once(pair: Pair) -> None:
    pair.say(7)
    time.sleep(0.2)  # the executor would have taken it by now, and raised
    assert until(lambda: polling.take(pair.subscription)).data == 7
    assert polling.take(pair.subscription) is None


def test_only_the_newest_of_several_waits(pair: Pair) -> None:
    for number in range(5):
        pair.say(number)
    taken = []

    def take() -> bool:
        message = polling.take(pair.subscription)
        if message is not None:
            taken.append(message.data)
        return taken[-1:] == [4]

    until(take)
    assert polling.take(pair.subscription) is None


def test_a_raw_message_comes_as_it_was_sent_with_the_time_of_its_sending(pair: Pair) -> None:
    before = time.time_ns()
    pair.say(7)
    data, info = until(lambda: polling.take_raw(pair.subscription))
    assert deserialize_message(data, Int32).data == 7
    assert before <= info["source_timestamp"] <= time.time_ns()
