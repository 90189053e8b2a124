"""Behaviour of the observation buffer: what it refuses, and how it says so."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rclpy.time import Time
from robot_messages import image, joint_state, robot, spoil_bytes
from sensor_msgs.msg import Image, JointState

from aloha_nodes.qos import SENSOR_DATA
from cosmos_policy.errors import ObservationUnavailable
from cosmos_policy.messages import check_observation, image_array
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy_core.embodiment import Embodiment

NOW = Time(nanoseconds=100_000_000_000)
TASK = "transfer the cube to the left arm"


@pytest.fixture
def contract() -> Embodiment:
    return Embodiment.load("aloha_sim")


@pytest.fixture
def messages(contract: Embodiment) -> dict[str, Image | JointState]:
    return robot(contract, NOW)


def filled(contract: Embodiment, messages: dict[str, Image | JointState], received: Time = NOW) -> ObservationBuffer:
    buffer = ObservationBuffer(contract)
    for topic, message in messages.items():
        buffer.store(topic, serialize_message(message), received)
    return buffer


def later(seconds: float) -> Time:
    return Time(nanoseconds=NOW.nanoseconds + round(seconds * 1e9))


def test_a_fresh_robot_gives_an_observation_that_fits_the_contract(contract, messages) -> None:
    observation = filled(contract, messages).take(TASK, later(0.01))
    check_observation(observation, contract)
    assert observation.instruction == TASK
    assert Time.from_msg(observation.header.stamp).nanoseconds == NOW.nanoseconds
    np.testing.assert_allclose(observation.proprio, contract.start_action, atol=1e-9)
    assert image_array(observation.images[0]).shape == (256, 256, 3)


def test_a_camera_that_never_spoke_is_named(contract, messages) -> None:
    del messages["/cam_high/image_raw"]
    with pytest.raises(ObservationUnavailable, match=r"waiting for /cam_high/image_raw: no frame yet"):
        filled(contract, messages).take(TASK, NOW)


def test_a_camera_that_stopped_is_named_with_its_silence(contract, messages) -> None:
    buffer = filled(contract, messages)
    for arm in contract.arms:
        buffer.store(arm.state_topic, serialize_message(joint_state(arm, later(3.2))), later(3.2))
    with pytest.raises(ObservationUnavailable, match=r"waiting for /cam_.*: last frame 3.2 s ago"):
        buffer.take(TASK, later(3.2))


def test_an_image_that_was_acquired_more_than_two_periods_ago_is_refused_though_it_just_arrived(
    contract, messages
) -> None:
    buffer = filled(contract, messages)
    camera = contract.cameras[0]
    buffer.store(camera.topic, serialize_message(image(camera, later(-0.085))), NOW)
    with pytest.raises(ObservationUnavailable, match="0.0[89] s old"):
        buffer.take(TASK, NOW)


def test_an_image_from_before_the_arms_came_to_rest_is_refused(contract, messages) -> None:
    buffer = filled(contract, messages)
    with pytest.raises(ObservationUnavailable, match="since the arms came to rest"):
        buffer.take(TASK, later(0.02), since=later(0.01))


def test_an_arm_that_stopped_is_named_with_its_silence(contract, messages) -> None:
    with pytest.raises(ObservationUnavailable, match=r"/follower_left/joint_states: last joint states 5.0 s ago"):
        filled(contract, messages).take(TASK, later(5.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_joint_that_is_not_a_number_is_refused(contract, messages, value: float) -> None:
    messages["/follower_right/joint_states"].position[2] = value
    with pytest.raises(ObservationUnavailable, match="/follower_right/joint_states: a joint position is not a number"):
        filled(contract, messages).take(TASK, NOW)


def test_the_mark_of_a_failed_bus_read_is_not_taken_for_a_pose(contract, messages) -> None:
    state = messages["/follower_left/joint_states"]
    state.position = [-np.pi] * 7 + list(state.position[7:])
    with pytest.raises(ObservationUnavailable, match="every joint reads -pi"):
        filled(contract, messages).take(TASK, NOW)


def test_a_missing_joint_is_named(contract, messages) -> None:
    state = messages["/follower_left/joint_states"]
    state.name, state.position = state.name[1:], state.position[1:]
    with pytest.raises(ObservationUnavailable, match="joint 'waist' is not in the message"):
        filled(contract, messages).take(TASK, NOW)


def test_images_of_another_encoding_size_or_length_are_refused(contract, messages) -> None:
    camera = contract.cameras[0]
    spoiled = {"bgr8": image(camera, NOW), "640x480": image(camera, NOW), "do not hold": image(camera, NOW)}
    spoiled["bgr8"].encoding = "bgr8"
    spoiled["640x480"].width, spoiled["640x480"].height = 640, 480
    spoil_bytes(spoiled["do not hold"], 100)
    for reason, message in spoiled.items():
        with pytest.raises(ObservationUnavailable, match=reason):
            filled(contract, {**messages, camera.topic: message}).take(TASK, NOW)


def test_everything_that_is_missing_is_named_at_once(contract, messages) -> None:
    del messages["/cam_high/image_raw"], messages["/follower_right/joint_states"]
    with pytest.raises(ObservationUnavailable, match=r"/follower_right/joint_states.*/cam_high/image_raw"):
        filled(contract, messages).take(TASK, NOW)


def test_a_robot_on_another_clock_is_told_apart_from_a_late_one(contract, messages) -> None:
    buffer = filled(contract, messages, received=later(1e6))
    with pytest.raises(ObservationUnavailable, match="Set use_sim_time alike"):
        buffer.take(TASK, later(1e6))


@pytest.fixture
def node() -> Iterator[Node]:
    rclpy.init()
    node = Node("robot")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_messages_that_waited_in_the_middleware_are_as_old_as_their_arrival(contract: Embodiment, node: Node) -> None:
    buffer = ObservationBuffer(contract)
    buffer.subscribe(node)
    messages = robot(contract, node.get_clock().now())
    for topic, message in messages.items():
        publisher = node.create_publisher(type(message), topic, SENSOR_DATA)
        for _ in range(1000):
            if publisher.get_subscription_count():
                break
            time.sleep(0.01)
        publisher.publish(message)
    time.sleep(contract.state_timeout + 0.2)
    with pytest.raises(ObservationUnavailable, match=r"last joint states \d+\.\d s ago"):
        buffer.take(TASK, node.get_clock().now())


def test_a_live_robot_is_observed_without_an_executor(contract: Embodiment, node: Node) -> None:
    buffer = ObservationBuffer(contract)
    buffer.subscribe(node)
    messages = robot(contract, node.get_clock().now())
    publishers = {
        topic: node.create_publisher(type(message), topic, SENSOR_DATA) for topic, message in messages.items()
    }
    for _ in range(1000):
        for topic, message in robot(contract, node.get_clock().now()).items():
            publishers[topic].publish(message)
        time.sleep(0.01)
        try:
            observation = buffer.take(TASK, node.get_clock().now())
            break
        except ObservationUnavailable as error:
            reason = error
    else:
        raise reason
    check_observation(observation, contract)
