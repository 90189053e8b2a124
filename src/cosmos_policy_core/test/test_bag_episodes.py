"""A bag becomes an episode by stamps alone, and says what was wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_files import (
    START,
    action_at,
    blank,
    commands_of,
    header,
    image,
    picture,
    small_contract,
    stamp,
    states_at,
    write_bag,
)

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.bags.episodes import Reading, read_bag
from cosmos_policy_core.data.bags.resample import Tolerances
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError

CONTRACT = small_contract()
PERIOD = CONTRACT.period
LEFT = CONTRACT.arms[0]
HIGH = CONTRACT.cameras[2]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags"), CONTRACT)


def test_a_healthy_bag_has_one_step_per_control_period(healthy: Path) -> None:
    result = read_bag(healthy, CONTRACT)
    assert result.notes == ()
    assert len(result.episode) == 24  # 0.98 s of commands hold 24 whole periods
    assert result.episode.instruction == result.record.instruction
    assert result.episode.success


def test_the_action_of_a_step_is_what_the_arms_are_told_at_the_end_of_its_period(healthy: Path) -> None:
    episode = read_bag(healthy, CONTRACT).episode
    expected = np.stack([action_at(CONTRACT, (step + 1) * PERIOD) for step in range(len(episode))])
    np.testing.assert_allclose(episode.actions, expected, atol=1e-6)


def test_proprioception_is_the_newest_state_at_the_time_of_the_step(healthy: Path) -> None:
    episode = read_bag(healthy, CONTRACT).episode
    expected = np.stack([action_at(CONTRACT, step * PERIOD) for step in range(len(episode))])
    np.testing.assert_allclose(episode.proprio, expected, atol=1e-6)
    assert episode.velocities is not None
    assert episode.efforts is not None
    np.testing.assert_allclose(episode.velocities[:, 0], 0.5)


@pytest.mark.parametrize("order", [[5, 6, 6, 20], [9, 3, 4, 3]])
def test_images_are_those_of_their_step_in_whatever_order_they_are_read(healthy: Path, order) -> None:
    frames = read_bag(healthy, CONTRACT).episode.jpegs[HIGH.name]
    for step in order:
        expected = jpeg.encode(picture(CONTRACT, 2, step), 95)
        assert frames[step] == expected
    source = frames._source  # type: ignore[attr-defined]
    for step, pixels in zip(order, source.read(order), strict=True):
        np.testing.assert_array_equal(pixels, picture(CONTRACT, 2, step))


def test_a_camera_of_another_rate_is_resampled_and_noted(tmp_path: Path) -> None:
    def halve(events):
        return [
            event for event in events if event[0] != HIGH.topic or round((event[1] - START) * 1e-9 * HIGH.rate) % 2 == 0
        ]

    result = read_bag(write_bag(tmp_path, CONTRACT, spoil=halve), CONTRACT)
    assert result.notes == ("/cam_high/image_raw: 12 Hz, 25 Hz in the contract",)
    frames = result.episode.jpegs[HIGH.name]
    assert frames[7] == frames[6] == jpeg.encode(picture(CONTRACT, 2, 6), 95)


def test_messages_out_of_order_are_sorted_and_repeated_stamps_are_left_out(tmp_path: Path, healthy: Path) -> None:
    def shuffle(events):
        images = [index for index, event in enumerate(events) if event[0] == HIGH.topic]
        one, other = images[4], images[5]
        events[one], events[other] = (
            (HIGH.topic, events[one][1], events[other][2]),
            (HIGH.topic, events[other][1], events[one][2]),
        )
        again = images[9]
        events.insert(
            again + 1, (HIGH.topic, events[again][1] + 1, image(picture(CONTRACT, 0, 99), START + 9 * 40_000_000))
        )
        return events

    result = read_bag(write_bag(tmp_path, CONTRACT, spoil=shuffle), CONTRACT)
    assert result.notes == (
        "/cam_high/image_raw: 1 message(s) repeat a stamp, left out",
        "/cam_high/image_raw: 1 message(s) out of order, sorted by stamp",
    )
    whole = read_bag(healthy, CONTRACT).episode.jpegs[HIGH.name]
    assert list(result.episode.jpegs[HIGH.name]) == list(whole)


def test_a_topic_whose_stamps_jump_about_is_refused(tmp_path: Path) -> None:
    def reverse(events):
        images = [index for index, event in enumerate(events) if event[0] == HIGH.topic]
        sent = [events[index][2] for index in images]
        for index, message in zip(images, reversed(sent), strict=True):
            events[index] = (HIGH.topic, events[index][1], message)
        return events

    with pytest.raises(EpisodeError, match=r"24 of 25 messages of /cam_high/image_raw are out of order"):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=reverse), CONTRACT)


def test_a_joint_state_with_fewer_positions_than_joints_is_refused(tmp_path: Path) -> None:
    def shorten(events):
        message = next(message for topic, _, message in events if topic == LEFT.state_topic)
        message.position = message.position[:-1]
        return events

    bag = write_bag(tmp_path, CONTRACT, spoil=shorten)
    with pytest.raises(EpisodeError, match=r"/follower_left/joint_states: a message has 8 positions for 9 joints"):
        read_bag(bag, CONTRACT)


@pytest.mark.parametrize("size", [(32, 24), (256, 192)])  # a large image is a chunk of its own
def test_a_flipped_bit_in_any_message_is_noticed(tmp_path: Path, size: tuple[int, int]) -> None:
    contract = small_contract(width=size[0], height=size[1])
    bag = write_bag(tmp_path, contract, seconds=0.4)
    file = bag / "episode_0.mcap"
    data = bytearray(file.read_bytes())
    marks = [picture(contract, 2, 4)[3].tobytes(), LEFT.command_names[0].encode()]
    for place in (data.index(mark) for mark in marks):
        data[place + 5] ^= 1
        file.write_bytes(data)
        with pytest.raises(EpisodeError, match="checksum mismatch"):
            list(read_bag(bag, contract).episode.jpegs[HIGH.name])
        data[place + 5] ^= 1
    file.write_bytes(data)
    assert len(read_bag(bag, contract).episode.jpegs[HIGH.name]) > 0


def test_a_gap_is_named_with_its_topic_and_place_and_refused_unless_allowed(tmp_path: Path) -> None:
    def silence(events):
        return [e for e in events if e[0] != HIGH.topic or not 0.3 < (e[1] - START) * 1e-9 < 0.6]

    bag = write_bag(tmp_path, CONTRACT, spoil=silence)
    with pytest.raises(EpisodeError, match=r"episode: has gaps: /cam_high/image_raw: 5 step\(s\) from step 10 on"):
        read_bag(bag, CONTRACT)
    result = read_bag(bag, CONTRACT, Reading(gap_steps=5))
    assert "gap at /cam_high/image_raw: 5 step(s) from step 10 on, up to 0.28 s old" in result.notes
    assert read_bag(bag, CONTRACT, Reading(Tolerances(image=0.5, state=1, command=1))).episode.success


def test_silent_commands_are_a_gap(tmp_path: Path) -> None:
    def silence(events):
        return [e for e in events if "commands" not in e[0] or not 0.3 < (e[1] - START) * 1e-9 < 0.6]

    with pytest.raises(EpisodeError, match=r"/follower_left/joint_commands: \d+ step"):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=silence), CONTRACT)


def test_everything_that_was_not_recorded_is_named_at_once(tmp_path: Path) -> None:
    def drop(events):
        return [event for event in events if event[0] not in (HIGH.topic, LEFT.command_topic)]

    message = "nothing was recorded of /cam_high/image_raw, /follower_left/joint_commands"
    with pytest.raises(EpisodeError, match=message):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=drop), CONTRACT)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    def shrink(events):
        small = np.zeros((8, 8, 3), dtype=np.uint8)
        return [(t, n, image(small, n) if t == HIGH.topic else m) for t, n, m in events]

    with pytest.raises(EpisodeError, match="size is 8x8, not 32x24"):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=shrink), CONTRACT)


def test_joints_are_found_by_name_whatever_their_order_in_the_message(tmp_path: Path, healthy: Path) -> None:
    def reverse(events):
        for topic, _, message in events:
            if topic == LEFT.state_topic:
                message.name, message.position = message.name[::-1], message.position[::-1].copy()
        return events

    turned = read_bag(write_bag(tmp_path, CONTRACT, spoil=reverse), CONTRACT).episode
    np.testing.assert_array_equal(turned.proprio, read_bag(healthy, CONTRACT).episode.proprio)


def test_joints_of_another_robot_are_refused(tmp_path: Path) -> None:
    def rename(events):
        for topic, _, message in events:
            if topic == LEFT.command_topic:
                message.name = [f"panda_{name}" for name in message.name]
        return events

    with pytest.raises(
        EpisodeError, match=r"/follower_left/joint_commands: joint 'waist' is not in a message of panda_"
    ):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=rename), CONTRACT)


def test_the_mark_of_a_failed_bus_read_is_never_a_pose(tmp_path: Path) -> None:
    def fail(events):
        hits = [message for topic, _, message in events if topic == LEFT.state_topic]
        hits[7].position[:7] = -np.pi
        return events

    result = read_bag(write_bag(tmp_path, CONTRACT, spoil=fail), CONTRACT)
    assert result.notes == ("/follower_left/joint_states: 1 failed bus read(s) left out",)
    assert (result.episode.proprio > -3.0).all()


def test_an_episode_of_another_embodiment_is_refused(healthy: Path) -> None:
    other = Embodiment.load("aloha")
    with pytest.raises(EpisodeError, match="recorded under another contract: it is of 'aloha_sim', not of 'aloha'"):
        read_bag(healthy, other)


def test_an_arm_list_of_another_order_is_refused(tmp_path: Path) -> None:
    swapped = CONTRACT.model_copy(update={"arms": CONTRACT.arms[::-1]})
    bag = write_bag(tmp_path, CONTRACT, contract=swapped.to_yaml())
    with pytest.raises(
        EpisodeError, match="arms: follower_left, follower_right in .*, follower_right, follower_left in"
    ):
        read_bag(bag, CONTRACT)


def test_an_episode_without_a_label_is_refused_with_the_command_that_labels_it(tmp_path: Path) -> None:
    bag = write_bag(tmp_path, CONTRACT, outcome=None)
    with pytest.raises(EpisodeError, match=f"cosmos-policy label {bag} --success"):
        read_bag(bag, CONTRACT)
    assumed = read_bag(bag, CONTRACT, Reading(assume=False)).episode
    assert (assumed.success, assumed.success_score) == (False, 0.0)
    assert assumed.extra["judge"] == "assumed by the converter"


def test_messages_without_stamps_are_refused(tmp_path: Path) -> None:
    def unstamp(events):
        for topic, _, message in events:
            if topic == LEFT.command_topic:
                message.header = header(0)
        return events

    with pytest.raises(EpisodeError, match="/follower_left/joint_commands: a message has no stamp"):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=unstamp), CONTRACT)


def test_topics_on_two_clocks_are_told_so(tmp_path: Path) -> None:
    def shift(events):
        for topic, _, message in events:
            if "image" in topic:
                message.header = header(5_000_000_000)
        return events

    with pytest.raises(EpisodeError, match="no control step in common.*Set use_sim_time alike"):
        read_bag(write_bag(tmp_path, CONTRACT, spoil=shift), CONTRACT)


# Planning pauses ----------------------------------------------------------------------------------------------------


def report(observed: int, decided: int, actions: np.ndarray) -> object:
    chunk = blank(
        "cosmos_policy_msgs/msg/ActionChunk",
        joint_names=list(CONTRACT.joint_names),
        horizon=len(actions),
        positions=actions.reshape(-1),
        candidate_id=3,
    )
    return blank(
        "cosmos_policy_msgs/msg/PlanReport",
        header=header(decided),
        observation_stamp=stamp(observed),
        candidates=[chunk],
        chosen=3,
    )


def planned_events(pause: float, plans: int = 2, lead: float = 0.0) -> tuple[list, list[np.ndarray]]:
    """A robot that rests `pause` seconds before each chunk of 10 actions, and holds its last command meanwhile.

    It is led to the first action in `lead` seconds beyond that action's own period.
    """
    tick, per_action = 20_000_000, 2
    chunks, told, time, events = [], action_at(CONTRACT, 0.0), START, []
    commands: list[tuple[int, np.ndarray]] = []
    for index in range(plans):
        observed, decided = time, time + round(pause * 1e9)
        chunk = told + np.cumsum(np.full((10, 14), 0.02 * (-1) ** index), axis=0)
        chunks.append(chunk)
        events.append(("/plan_report", decided, report(observed, decided, chunk)))
        if index:  # nothing is commanded before the first chunk
            commands += [(at, told) for at in range(time, decided, tick)]
        start = decided + 7_000_000  # the executor's ticks have a phase of their own
        leading = round(lead * 1e9) // tick
        for number in range(1, leading + 1):
            away = 0.002 * np.sin(np.pi * number / leading)
            commands.append((start + number * tick, told + away))
        start += leading * tick
        knots = np.vstack([told, chunk])
        for number in range(1, 10 * per_action + 1):
            place = number / per_action
            low = int(place) if place < 10 else 9
            value = knots[low] + (place - low) * (knots[low + 1] - knots[low])
            commands.append((start + number * tick, value))
        told, time = chunk[-1], start + 10 * per_action * tick + tick
    for at, value in commands:
        events += [(topic, at, message) for topic, message in commands_of(CONTRACT, value, at).items()]
    for number in range((time - START) // 40_000_000 + 2):
        at = START - 1_000_000 + number * 40_000_000
        events += [(c.topic, at, image(picture(CONTRACT, i, number), at)) for i, c in enumerate(CONTRACT.cameras)]
        events += [(topic, at, message) for topic, message in states_at(CONTRACT, 0.0, at).items()]
    return sorted(events, key=lambda event: event[1]), chunks


def test_pauses_for_planning_are_left_out_and_actions_are_those_of_the_chunks(tmp_path: Path) -> None:
    events, chunks = planned_events(pause=0.8)
    result = read_bag(write_bag(tmp_path, CONTRACT, spoil=lambda _: events), CONTRACT)
    np.testing.assert_allclose(result.episode.actions, np.vstack(chunks), atol=1e-6)
    assert result.notes == ("2 of 2 plans were executed; pauses for planning are left out",)
    assert result.episode.jpegs[HIGH.name][0] == jpeg.encode(picture(CONTRACT, 2, 0), 95)  # seen before the pause


def test_leading_the_arms_to_a_first_action_is_no_step_of_the_episode(tmp_path: Path) -> None:
    events, chunks = planned_events(pause=0.5, lead=0.3)
    episode = read_bag(write_bag(tmp_path, CONTRACT, spoil=lambda _: events), CONTRACT).episode
    np.testing.assert_allclose(episode.actions, np.vstack(chunks), atol=1e-6)
    assert episode.jpegs[HIGH.name][0] == jpeg.encode(picture(CONTRACT, 2, 0), 95)


def test_a_chunk_that_was_cut_off_by_the_end_of_the_task_keeps_its_first_steps(tmp_path: Path) -> None:
    events, chunks = planned_events(pause=0.4)
    last = max(event[1] for event in events if "commands" in event[0]) - 240_000_000
    kept = [event for event in events if event[1] <= last]
    episode = read_bag(write_bag(tmp_path, CONTRACT, spoil=lambda _: kept), CONTRACT).episode
    assert 13 <= len(episode) <= 15
    np.testing.assert_allclose(episode.actions, np.vstack(chunks)[: len(episode)], atol=1e-6)


def test_a_plan_that_never_moved_the_arms_has_no_steps(tmp_path: Path) -> None:
    events, chunks = planned_events(pause=0.4)
    refused = report(START, START + 100_000_000, chunks[0] + 0.5)
    events = [("/plan_report", START + 100_000_000, refused), *events]
    result = read_bag(write_bag(tmp_path, CONTRACT, spoil=lambda _: events), CONTRACT)
    assert len(result.episode) == 20
    assert result.notes[-1].startswith("2 of 3 plans were executed")
