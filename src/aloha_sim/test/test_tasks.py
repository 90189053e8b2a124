"""Every task of the table: its expert, its start, its looks, on the same cell code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

from aloha_sim.cell import Cell
from aloha_sim.env import AlohaEnv
from aloha_sim.expert import ExpertOptions
from aloha_sim.tasks import TASKS, gym_id

CHOICE = "candies_in_bowl"
"""The task that leaves its expert a choice."""


@pytest.fixture(scope="module", params=[task for task in TASKS if task != "transfer_cube"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def environment(task: str) -> Iterator[AlohaEnv]:
    environment = AlohaEnv(task=task, render=False, image_width=64, image_height=64, mesh_reduction=0.9)
    yield environment
    environment.close()


def perform(
    environment: AlohaEnv, seed: int, expert_seed: int, **options: Any
) -> tuple[list[np.ndarray], dict[str, Any]]:
    environment.reset(seed=seed)
    actions = []
    info: dict[str, Any] = {}
    for move in environment.expert(expert_seed, ExpertOptions(steps=400, **options)):
        actions.append(move.action)
        *_, terminated, _, info = environment.step(move.executed)
        if terminated:
            break
    return actions, info


def test_the_expert_succeeds_and_every_stage_has_a_name(environment: AlohaEnv) -> None:
    for seed in range(100, 104):
        _, info = perform(environment, seed, seed)
        assert info["success"] and info["success_score"] == 1.0 and info["best_stage"] == 4, seed
    assert len(environment.cell.task.stages) == 5


def test_the_careful_expert_is_within_the_time_limit_and_the_speed_of_the_arms(environment: AlohaEnv) -> None:
    actions, info = perform(environment, 7, 7, variety=0.0)
    assert info["success"] and len(actions) < environment.cell.task.max_steps
    speed = np.abs(np.diff([environment.cell.start_action, *actions], axis=0)).max(axis=0) * 25
    assert np.delete(speed, [6, 13]).max() < 3.14 and speed[[6, 13]].max() < 3.0


def test_a_seed_fixes_the_scene_and_the_demonstration(environment: AlohaEnv) -> None:
    first, info = perform(environment, 3, 5)
    again, same = perform(environment, 3, 5)
    assert np.array_equal(first, again) and np.array_equal(info["object_poses"], same["object_poses"])
    environment.reset(seed=4)
    assert not np.array_equal(environment.cell.object_poses, info["object_poses"])


def test_doing_nothing_accomplishes_nothing_and_a_hold_keeps_the_scene(environment: AlohaEnv) -> None:
    environment.reset(seed=1)
    before = environment.cell.object_poses
    environment.hold(1.0)
    *_, info = environment.step(environment.cell.start_action)
    assert (info["stage"], info["success_score"], info["done"]) == (0, 0.0, False)
    assert info["object_poses"] == pytest.approx(before, abs=2e-3)


def test_the_id_names_the_task(task: str) -> None:
    environment = gymnasium.make(f"aloha_sim:{gym_id(task)}", render=False, mesh_reduction=0.0)
    assert environment.unwrapped.cell.settings.instruction == TASKS[task].instruction
    assert environment.spec is not None and environment.spec.max_episode_steps == TASKS[task].max_steps


def test_the_expert_of_a_choice_chooses_either_arm_and_either_object_first() -> None:
    environment = AlohaEnv(task=CHOICE, render=False, mesh_reduction=0.0, object_x_range=(-0.06, 0.06))
    firsts = set()
    for seed in range(12):
        environment.reset(seed=2)
        poses = environment.cell.object_poses
        for move in environment.expert(seed, ExpertOptions(steps=75)):
            environment.step(move.executed)
        moved = np.abs(environment.cell.object_poses - poses)[:, :3].max(axis=1) > 0.02
        arm = int(np.ptp([environment.cell.proprio()[[0, 7]], [0, 0]], axis=0).argmax())
        firsts |= {(arm, index) for index in np.flatnonzero(moved)}
    assert {arm for arm, _ in firsts} == {0, 1} and {index for _, index in firsts} == {0, 1}


@pytest.mark.parametrize("steps", [70, 110, 150])
def test_an_expert_that_resumes_finishes_what_another_began_without_a_jump(steps: int) -> None:
    environment = AlohaEnv(task=CHOICE, render=False, mesh_reduction=0.9, terminate_on_success=True)
    environment.reset(seed=2)
    last = environment.cell.start_action
    for move in environment.expert(9, ExpertOptions(steps=steps, noise=0.05)):
        *_, info = environment.step(move.executed)
        last = move.executed
    assert not info["success"]
    speeds = []
    for move in environment.expert(1, ExpertOptions(steps=400)):
        *_, terminated, _, info = environment.step(move.executed)
        speeds.append(np.abs(move.action - last)[[*range(6), *range(7, 13)]].max() * 25)
        last = move.action
        if terminated:
            break
    assert info["success"] and max(speeds) < 3.14


def test_an_expert_that_begins_at_the_start_only_says_so() -> None:
    environment = AlohaEnv(task="insertion", render=False, mesh_reduction=0.9)
    environment.reset(seed=2)
    environment.step(environment.cell.start_action + 0.01)
    with pytest.raises(ValueError, match="the expert of insertion begins at the start only. Reset the environment"):
        environment.expert(1)


def test_the_clock_tells_clean_demonstrations_of_a_hurried_person_from_the_others() -> None:
    environment = AlohaEnv(task="hurried_transfer", render=False, mesh_reduction=0.9)
    lengths = [len(perform(environment, seed, seed)[0]) for seed in range(10)]
    assert 2 <= sum(length < TASKS["hurried_transfer"].max_steps for length in lengths) <= 8
    assert not any(112 < length < 122 for length in lengths), "nothing in between"


@pytest.mark.parametrize("shift", [{"colour_shift": 0.5}, {"light_shift": 0.5}, {"camera_shift": 0.02}])
def test_a_domain_shift_changes_the_picture_per_seed_and_comes_back(shift: dict[str, float]) -> None:
    small: dict[str, Any] = {"task": CHOICE, "image_width": 64, "image_height": 64, "cameras": ["cam_high"]}
    plain, shifted = Cell(**small), Cell(**small, **shift)
    try:
        pictures = []
        for cell, seed in ((plain, 3), (shifted, 3), (shifted, 4), (shifted, 3)):
            cell.reset(seed, pause=0.2)
            pictures.append(cell.render("cam_high").astype(float))
        assert np.array_equal(plain.object_poses, shifted.object_poses)
        assert np.abs(pictures[0] - pictures[1]).mean() > 1
        assert np.abs(pictures[1] - pictures[2]).mean() > 1
        assert np.array_equal(pictures[1], pictures[3])
    finally:
        plain.close()
        shifted.close()
