"""What a recording gives the trainer is, bit for bit, what the live policy prepares from the same messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rclpy.time import Time
from robot_messages import joint_state
from sensor_msgs.msg import JointState

from cosmos_policy.messages import image_array, image_message
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy.recorder.topics import bag_topics, recorded_topics
from cosmos_policy_core.data.bags.episodes import read_bag
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.writing import BagWriter
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.images import prepare_images

BEGIN = 100 * 10**9  # [ns]
TASK = "fold the shirt"
STEPS = 5


def robot(contract: Embodiment, step: int) -> dict[str, bytes]:
    """One serialized message per topic: noise for images, arms that drift."""
    stamp = Time(nanoseconds=BEGIN + round(step * contract.period * 1e9))
    rng, messages = np.random.default_rng(step), {}
    for camera in contract.cameras:
        pixels = rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
        messages[camera.topic] = image_message(pixels, camera.name, stamp.to_msg())
    for arm in contract.arms:
        state = joint_state(arm, stamp)
        state.position = [value + 0.001 * step * np.pi for value in state.position]
        messages[arm.state_topic] = state
        command = JointState(name=list(arm.command_names), position=list(state.position[:7]))
        command.header.stamp = stamp.to_msg()
        messages[arm.command_topic] = command
    return {topic: serialize_message(message) for topic, message in messages.items()}


def record(folder: Path, contract: Embodiment) -> Path:
    about = EpisodeRecord("episode", contract.to_yaml(), TASK, outcome=Outcome(True, 1.0, "tester"))
    writer = BagWriter(folder, about, bag_topics(recorded_topics(contract)))
    for step in range(STEPS + 1):
        for topic, data in robot(contract, step).items():
            writer.write(topic, BEGIN + round(step * contract.period * 1e9), data)
    return writer.finish(about)


@pytest.mark.parametrize("name", ["aloha_sim", "aloha"])
def test_a_recorded_step_is_bit_for_bit_what_the_policy_sees_live(tmp_path: Path, name: str) -> None:
    contract = Embodiment.load(name)
    episode = read_bag(record(tmp_path, contract), contract).episode
    assert len(episode) == STEPS
    buffer, facts = ObservationBuffer(contract), contract.images.model_dump()
    for step in range(STEPS):
        now = Time(nanoseconds=BEGIN + round(step * contract.period * 1e9))
        for topic, data in robot(contract, step).items():
            if "commands" not in topic:
                buffer.store(topic, data, now)
        live = buffer.take(TASK, now)
        np.testing.assert_array_equal(np.float32(live.proprio), episode.proprio[step])
        seen = prepare_images([image_array(message) for message in live.images], 64, **facts)
        stored = [episode.image(camera, step) for camera in live.camera_names]
        trained = prepare_images(stored, 64, resize_before=contract.images.resize_before)
        np.testing.assert_array_equal(seen, trained)
