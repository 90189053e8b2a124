"""The gymnasium interface: spaces, seeds, rates, ends."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from aloha_sim.env import AlohaEnv


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice about infinite bounds, which proprioception has
def test_the_environment_keeps_gymnasiums_rules(environment: gymnasium.Env) -> None:
    check_env(environment.unwrapped, skip_render_check=True)


def test_the_same_seed_and_actions_give_the_same_episode(environment: gymnasium.Env) -> None:
    def play() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        environment.reset(seed=9)
        for move in itertools.islice(environment.unwrapped.expert(), 12):
            observation, *_ = environment.step(move.action)
        return observation["proprio"], observation["images"]

    (first, images), (second, again) = play(), play()
    assert np.array_equal(first, second)
    assert all(np.array_equal(images[camera], again[camera]) for camera in images)


def test_every_camera_sees_the_cube(environment: gymnasium.Env) -> None:
    observation, _ = environment.reset(seed=2)
    assert list(observation["images"]) == ["cam_left_wrist", "cam_right_wrist", "cam_high"]
    for camera, picture in observation["images"].items():
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        red = (picture[..., 0] > 90) & (picture[..., 1] < 60)
        assert red.sum() >= 4, camera


def test_a_step_takes_one_control_period_and_a_hold_what_it_says(blind: AlohaEnv) -> None:
    _, info = blind.reset(seed=0, options={"pause": 0.0})
    assert info["time"] == 0.0
    blind.step(blind.cell.start_action)
    assert blind.cell.time == pytest.approx(0.04)
    blind.hold(0.5)
    assert blind.cell.time == pytest.approx(0.54)


def test_the_target_moves_in_a_straight_line_within_a_step(blind: AlohaEnv) -> None:
    blind.reset(seed=0)
    targets = []
    advance = blind.cell.advance
    blind.cell.advance = lambda seconds: (targets.append(blind.cell.data.ctrl[0]), advance(seconds))  # type: ignore
    try:
        goal = blind.cell.start_action.copy()
        goal[0] = 0.1
        blind.step(goal)
    finally:
        blind.cell.advance = advance  # type: ignore[method-assign]
    assert targets == pytest.approx([0.05, 0.1])


def test_holding_keeps_the_last_target(blind: AlohaEnv) -> None:
    blind.reset(seed=0)
    goal = blind.cell.start_action.copy()
    goal[0] = 0.2
    blind.step(goal)
    assert blind.hold(1.0)["proprio"][0] == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("action", [np.full(14, np.nan), np.zeros(7)])
def test_an_action_that_is_no_action_is_refused(blind: AlohaEnv, action: np.ndarray) -> None:
    blind.reset(seed=0)
    with pytest.raises(ValueError, match="needs 14 finite numbers"):
        blind.step(action)


def test_success_ends_an_episode_unless_told_otherwise() -> None:
    environment = AlohaEnv(render=False, mesh_reduction=0.0)
    environment.reset(seed=1)
    for move in environment.expert():
        *_, terminated, _, info = environment.step(move.action)
        if terminated:
            break
    assert terminated and info["success"] and info["time"] < 6.0


def test_an_episode_is_cut_after_its_longest_duration() -> None:
    environment = gymnasium.make("aloha_sim:aloha_sim/TransferCube-v0", render=False, max_episode_steps=3)
    environment.reset(seed=0)
    cut = [environment.step(environment.unwrapped.cell.start_action)[3] for _ in range(3)]
    assert cut == [False, False, True]


def test_what_follows_a_restored_instant_is_what_followed_it_before(blind: AlohaEnv) -> None:
    blind.reset(seed=4)
    moves = [move.action for move in itertools.islice(blind.expert(), 40)]
    for action in moves[:25]:
        blind.step(action)
    instant = blind.snapshot()
    ends = []
    for _ in range(2):
        for action in moves[25:]:
            observation, *_, info = blind.step(action)
        ends.append((observation["proprio"], info["object_poses"]))
        blind.restore(instant)
    assert all(np.array_equal(first, second) for first, second in zip(*ends, strict=True))
    assert blind.cell.time == pytest.approx(25 / 25 + 0.5)
