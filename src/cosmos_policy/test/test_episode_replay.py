"""Playing recorded actions back: slowly to the start, seamlessly through the motion, and refused when in doubt."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from bag_files import START, action_at, commands_of, write_bag
from executor_rig import PATIENT, Rig, rig

from cosmos_policy.errors import ReplayError
from cosmos_policy.replay.stream import MotionStream
from cosmos_policy_core.data.actions import recorded_actions
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.execution.approach import SPEED, approach, slowed

CONTRACT = Embodiment.load(PATIENT)


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Rig, MotionStream]]:
    rclpy.init()
    with rig() as made:
        yield made, MotionStream(made.client, made.contract)
    rclpy.try_shutdown()


def commands_only(seconds: float) -> list:
    """A recording of the arms alone: replay needs no images."""
    events = []
    for number in range(int(seconds * CONTRACT.command_rate)):
        time = START + round(number * 1e9 / CONTRACT.command_rate)
        told = commands_of(CONTRACT, action_at(CONTRACT, (time - START) * 1e-9), time)
        events += [(topic, time, message) for topic, message in told.items()]
    return events


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    return write_bag(folder, CONTRACT, spoil=lambda _: commands_only(3.0), outcome=None)


def commanded(made: Rig) -> np.ndarray:
    """Everything the left arm was commanded, in action space."""
    arm = made.arms.space.arms[0]
    return np.stack([(row - arm.offset) / arm.scale for _, row in made.arms.received[0]])


def test_the_actions_of_a_recording_are_read_without_images_or_a_label(bag) -> None:
    actions = recorded_actions(bag, CONTRACT)
    expected = np.stack([action_at(CONTRACT, (step + 1) * CONTRACT.period) for step in range(len(actions))])
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    assert len(actions) == 74


def test_a_recording_of_another_robot_is_refused_before_anything_moves(tmp_path) -> None:
    other = CONTRACT.model_copy(update={"control_rate": 20.0})
    path = write_bag(tmp_path, other, spoil=lambda _: commands_only(1.0))
    with pytest.raises(EpisodeError, match="recorded under another contract: control_rate: 25.0 in .*, 20.0 in"):
        recorded_actions(path, CONTRACT)


def test_the_way_to_the_start_is_slow_and_begins_and_ends_at_rest() -> None:
    target = action_at(CONTRACT, 0.0)
    way = approach(CONTRACT.start_action, target, CONTRACT)
    speeds = np.abs(np.diff(way, axis=0, prepend=CONTRACT.start_action[None])) * CONTRACT.control_rate
    assert (speeds <= SPEED * CONTRACT.velocity_limits * 1.001).all()
    assert speeds[0].max() < 0.1 * speeds.max()
    np.testing.assert_array_equal(way[-1], target)
    np.testing.assert_array_equal(way[-12:], np.repeat(target[None], 12, axis=0))


def test_a_slower_replay_passes_the_same_points() -> None:
    actions = np.stack([action_at(CONTRACT, step * 0.04) for step in range(11)])
    slow = slowed(actions, 0.5)
    np.testing.assert_allclose(slow[::2], actions)
    assert len(slow) == 21


def test_a_motion_longer_than_a_chunk_is_played_without_a_stop(played, bag) -> None:
    made, stream = played
    actions = recorded_actions(bag, CONTRACT)
    way = approach(made.arms.action, actions[0], CONTRACT)
    stream.play(np.concatenate([way, actions]))
    told = commanded(made)
    np.testing.assert_allclose(told[-1], actions[-1, :7], atol=2e-3)
    moving = told[-60:-5]  # the last second or so, far from both ends, crosses a seam
    assert (np.abs(np.diff(moving, axis=0)).max(axis=1) > 1e-4).all()
    reached = np.abs(told[:, None] - actions[None, ::10, :7]).max(axis=2).min(axis=0)
    assert reached.max() < 0.02  # every tenth recorded action was passed


def test_an_executor_that_ends_a_chunk_ends_the_replay_with_its_reason(played) -> None:
    made, stream = played
    far = made.still()
    far[:, 1] += 0.8
    with pytest.raises(ReplayError, match="ended as TOO_FAR"):
        stream.play(far)


def test_stopping_a_replay_brings_the_arms_to_rest(played) -> None:
    made, stream = played

    def stop_after_a_moment() -> None:
        if stream._step >= 5:
            raise ReplayError("stopped")

    with pytest.raises(ReplayError, match="stopped"):
        stream.play(np.concatenate([made.sway(), made.sway()]), stop_after_a_moment)
    assert stream._result is not None
    before = made.arms.action.copy()
    made.client.get_clock().sleep_for(rclpy.duration.Duration(seconds=0.2))
    np.testing.assert_allclose(made.arms.action, before, atol=1e-6)


def test_the_node_says_what_is_missing_and_ends(tmp_path) -> None:
    words = [sys.executable, "-m", "cosmos_policy.episode_replay_node", "--ros-args"]
    words += ["-p", "embodiment:=aloha_sim", "-p", f"episode:={tmp_path / 'none'}", "-p", "delay:=0.0"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no such file" in ended.stderr
    assert "Traceback" not in ended.stderr
