"""The cell: reproducible starts, vendor units, the published task criterion."""

from __future__ import annotations

import numpy as np
import pytest

from aloha_sim.cell import Cell
from aloha_sim.env import AlohaEnv
from aloha_sim.tasks.transfer_cube import sample_cube

PUBLISHED = {"x": (0.0, 0.2), "y": (0.4, 0.6), "yaw": (0.0, 0.0)}


def test_a_seed_gives_the_cube_of_the_published_environment() -> None:
    x, y, z = np.random.RandomState(5).uniform([0.0, 0.4, 0.05], [0.2, 0.6, 0.05])
    assert sample_cube(5, **PUBLISHED) == pytest.approx([x, y, z, 1, 0, 0, 0])


def test_a_seed_beyond_32_bits_still_gives_a_cube() -> None:
    assert sample_cube(2**63 + 7, **PUBLISHED) == pytest.approx(sample_cube(7, **PUBLISHED))


def test_a_wider_range_and_yaw_are_drawn_from() -> None:
    cubes = np.array([sample_cube(seed, (-0.1, 0.3), (0.3, 0.7), (-1.0, 1.0)) for seed in range(200)])
    assert cubes[:, 0].min() < -0.05 and cubes[:, 1].max() > 0.65
    assert np.abs(2 * np.arcsin(cubes[:, 6])).max() > 0.9


def test_resetting_to_a_seed_restores_the_whole_state(cell: Cell) -> None:
    cell.reset(3, pause=0.2)
    before = cell.data.qpos.copy()
    cell.command_action(cell.start_action + 0.1)
    cell.advance(0.5)
    cell.reset(3, pause=0.2)
    assert np.array_equal(cell.data.qpos, before)


def test_the_cube_rests_on_the_table_after_the_pause(cell: Cell) -> None:
    assert cell.object_pose("cube")[2] == pytest.approx(0.02, abs=1e-3)
    assert cell.judge().stage == 0


def test_joint_states_come_in_vendor_order_with_mirrored_fingers(cell: Cell) -> None:
    state = cell.joint_state(0)
    assert state.names[:2] == ("waist", "shoulder") and state.names[6:] == ("gripper", "left_finger", "right_finger")
    assert len(state.position) == len(state.velocity) == len(state.effort) == 9
    assert state.position[1] == pytest.approx(-0.96, abs=0.01)
    assert state.position[8] == pytest.approx(-state.position[7], abs=1e-4)
    assert cell.gripper.linkage.finger_from_motor(state.position[6]) == pytest.approx(state.position[7], abs=1e-4)


def test_a_commanded_arm_arrives_and_the_other_stays(cell: Cell) -> None:
    target = cell.joint_state(0).position[:7].copy()
    target[0], target[6] = 0.3, 1.0
    before = cell.joint_state(1).position
    cell.command(0, target)
    cell.advance(1.5)
    assert cell.joint_state(0).position[[0, 6]] == pytest.approx([0.3, 1.0], abs=0.03)
    assert cell.joint_state(1).position == pytest.approx(before, abs=0.01)


def test_proprioception_is_normalised_by_finger_position_not_by_motor_angle(cell: Cell) -> None:
    finger = cell.joint_state(1).position[7]
    assert cell.proprio()[13] == pytest.approx(cell.gripper.state_from_finger(finger))
    assert cell.proprio()[13] != pytest.approx(cell.start_action[13], abs=0.02)


def test_the_task_succeeds_when_the_left_hand_has_the_cube_alone(blind: AlohaEnv) -> None:
    blind.reset(seed=11)
    seen = []
    for move in blind.expert():
        _, stage, _, _, info = blind.step(move.action)
        seen.append((int(stage), info["done"], info["success"]))
    stages = [stage for stage, _, _ in seen]
    assert stages[0] == 0 and {1, 2, 4} <= set(stages)
    first = seen.index(next(entry for entry in seen if entry[1]))
    assert stages.index(4) < first, "touching it with both hands is the published success, not yet ours"
    assert not any(success for _, _, success in seen[:first])
    assert all(success for _, _, success in seen[first:]), "success stays"


def test_a_cube_let_go_again_is_no_longer_held_but_the_success_stays(blind: AlohaEnv) -> None:
    blind.reset(seed=11)
    for move in blind.expert():
        blind.step(move.action)
    action = move.action.copy()
    action[6] = 1.0
    for _ in range(25):
        *_, info = blind.step(action)
    assert info["success"] and not info["done"] and info["best_stage"] == 4 and info["stage"] == 0
