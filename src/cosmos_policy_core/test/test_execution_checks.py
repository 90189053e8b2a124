"""Refusals: each names what is wrong, where, and what helps; and nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
from execution_kit import NAMES, SETTINGS, Rig, chunk, space

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import ActionSpace, ChunkExecutor, ExecutorSettings, JointStates, Termination

GOOD = np.tile([0.1, 0.2, 0.5] * 2, (50, 1))


def with_number(step: int, joint: int, value: float) -> np.ndarray:
    actions = GOOD.copy()
    actions[step, joint] = value
    return actions.reshape(-1)


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"positions": with_number(3, 1, np.nan)}, Termination.BAD_NUMBERS, "action 3 of left/elbow is nan"),
        ({"positions": with_number(0, 5, np.inf)}, Termination.BAD_NUMBERS, "right/gripper is inf"),
        ({"joint_names": NAMES[3:] + NAMES[:3]}, Termination.BAD_JOINTS, "joint 0 is 'right/waist'"),
        ({"joint_names": NAMES[:-1]}, Termination.BAD_JOINTS, "'right/gripper' is missing"),
        ({"joint_names": (*NAMES[:-1], "right/thumb")}, Termination.BAD_JOINTS, "'right/thumb' is unknown"),
        ({"joint_names": (*NAMES, NAMES[0])}, Termination.BAD_JOINTS, "twice"),
        ({"joint_names": ()}, Termination.BAD_JOINTS, "missing (6 in all)"),
        ({"horizon": 49}, Termination.BAD_LENGTH, "chunk.horizon: 49"),
        ({"positions": GOOD.reshape(-1)[:-1]}, Termination.BAD_LENGTH, "299 numbers"),
        ({"positions": np.empty(0)}, Termination.BAD_LENGTH, "0 numbers"),
        ({"period": 0.02}, Termination.BAD_LENGTH, "0.02 s between actions"),
        ({"period": float("nan")}, Termination.BAD_LENGTH, "chunk.period"),
        ({"observation_stamp": -10.0}, Termination.STALE, "carries none"),
        ({"observation_stamp": 0.0}, Termination.STALE, "carries none"),
        ({"observation_stamp": 5.0}, Termination.STALE, "in the future"),
        (
            {"positions": with_number(0, 0, 0.6)},
            Termination.TOO_FAR,
            "left/waist: the first action is 0.600 rad, 0.500 rad",
        ),
        ({"positions": with_number(0, 3, -0.4)}, Termination.TOO_FAR, "right/waist"),
        ({"positions": with_number(20, 1, 1.76)}, Termination.LIMIT, "left/elbow: action 20 is 1.760"),
        ({"positions": with_number(20, 2, -0.51)}, Termination.LIMIT, "left/gripper"),
    ],
)
def test_a_bad_chunk_is_refused_with_its_reason(changes: dict[str, object], reason: Termination, says: str) -> None:
    rig = Rig()
    run = rig.executor.start(chunk(GOOD, 1.0, **changes), rig.now + 0.01, rig.states)
    assert run.outcome is reason
    assert says in run.message and run.message.endswith(".")
    assert rig.tick() is None


def test_an_old_observation_is_refused_with_both_ages() -> None:
    rig = Rig()
    rig.now = 100.0
    rig.report()
    run = rig.executor.start(chunk(GOOD, 80.0), rig.now, rig.states)
    assert run.outcome is Termination.STALE and "20.00 s old" in run.message and "10.00 s" in run.message


def test_more_steps_than_the_horizon_are_refused() -> None:
    rig = Rig()
    run = rig.executor.start(chunk(GOOD), rig.now, rig.states, steps=51)
    assert run.outcome is Termination.BAD_LENGTH and "51 of 50" in run.message


def test_arms_that_were_never_seen_are_not_ready() -> None:
    rig = Rig()
    states = JointStates(space())
    run = rig.executor.start(chunk(GOOD), 1.0, states)
    assert run.outcome is Termination.NOT_READY and "left" in run.message
    states.update(0, 1.0, ("waist", "elbow", "gripper"), [0.1, 0.2, 0.4])
    assert "right" in rig.executor.start(chunk(GOOD), 1.0, states).message


def test_a_goal_for_arms_that_fell_silent_is_refused() -> None:
    rig = Rig()
    run = rig.executor.start(chunk(GOOD, 1.0), rig.now + 0.2, rig.states)
    assert run.outcome is Termination.STATES_LOST and "200 ms" in run.message


def test_a_little_beyond_the_limits_is_clamped_not_refused() -> None:
    rig = Rig()
    run = rig.executor.start(chunk(with_number(49, 2, -0.1)), rig.now, rig.states)
    rig.ticks(150)
    assert run.outcome is Termination.COMPLETED
    assert rig.pose[2] == pytest.approx(0.0, abs=1e-9)


def test_a_gripper_far_from_its_first_action_is_closed_not_refused() -> None:
    rig = Rig()
    actions = GOOD.copy()
    actions[:, 2] = 0.0
    run = rig.executor.start(chunk(actions), rig.now, rig.states)
    assert run.outcome is None
    before = rig.pose.copy()
    rig.ticks(150)
    path = np.concatenate([before[None], np.array(rig.commands)])
    assert np.all(np.abs(np.diff(path, axis=0)) <= SETTINGS.velocity * SETTINGS.command_period + 1e-9)
    assert run.outcome is Termination.COMPLETED


@pytest.mark.parametrize("name", ["aloha", "aloha_sim"])
def test_commands_equal_the_contracts_own_to_the_last_digit(name: str) -> None:
    contract = Embodiment.load(name)
    space = ActionSpace.from_contract(contract)
    action = np.random.default_rng(3).uniform(contract.action_lower, contract.action_upper)
    for channel in space.arms:
        names, positions = contract.commands_from_action(action)[channel.name]
        out = np.empty(len(names))
        channel.write_command(action, out)
        assert list(channel.joint_names) == names
        np.testing.assert_allclose(out, positions, rtol=0, atol=1e-12)


def test_measured_poses_are_read_in_action_space_whatever_else_the_message_holds() -> None:
    contract = Embodiment.load("aloha_sim")
    states = JointStates(ActionSpace.from_contract(contract))
    for index, arm in enumerate(contract.arms):
        names, positions = contract.commands_from_action(contract.start_action)[arm.name]
        message = [*names, "left_finger", "right_finger"]
        assert states.update(index, 1.0, message[::-1], [0.02, -0.02, *reversed(positions)])
    np.testing.assert_allclose(states.position, contract.start_action, atol=1e-12)


def test_unusable_messages_are_counted_and_never_become_a_pose() -> None:
    states = JointStates(space())
    names = ["waist", "elbow", "gripper"]
    assert not states.update(0, 1.0, names, [np.nan, 0.0, 0.0])
    assert not states.update(0, 1.0, names, [0.0, 0.0])
    assert not states.update(0, 1.0, ["waist"], [0.0])
    assert not states.update(0, 1.0, names, [-np.pi] * 3)
    assert states.rejected == [4, 0] and not states.complete


def test_the_shipped_contracts_make_executor_settings() -> None:
    settings = ExecutorSettings.from_contract(Embodiment.load("aloha_sim"))
    assert ChunkExecutor(settings).run is None
    assert settings.command_period == pytest.approx(0.02) and settings.grippers == (6, 13)
