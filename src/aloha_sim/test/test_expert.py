"""The scripted expert solves the task, within what the robot may do, and fails where it is told to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from aloha_sim.env import AlohaEnv
from aloha_sim.expert import ExpertOptions, Move

GRIPPERS = [6, 13]


def perform(environment: AlohaEnv, moves: Iterable[Move]) -> bool:
    for move in moves:
        if move.pause:
            environment.hold(move.pause)
        *_, info = environment.step(move.executed)
    return bool(info["success"])


def test_the_expert_succeeds_on_ten_cubes(blind: AlohaEnv) -> None:
    failed = []
    for seed in range(100, 110):
        blind.reset(seed=seed)
        if not perform(blind, blind.expert()):
            failed.append(seed)
    assert not failed


def test_pauses_do_not_spoil_a_demonstration(blind: AlohaEnv) -> None:
    blind.reset(seed=4)
    moves = list(blind.expert(4, ExpertOptions(holds=4)))
    assert any(move.pause > 0 for move in moves)
    assert perform(blind, moves)


def test_a_misplaced_grasp_fails(blind: AlohaEnv) -> None:
    blind.reset(seed=4)
    assert not perform(blind, blind.expert(options=ExpertOptions(grasp_shift=(0.03, 0.03))))


def test_noise_changes_what_is_executed_and_never_the_labels_or_the_grippers(blind: AlohaEnv) -> None:
    blind.reset(seed=4)
    clean, noisy, again = (list(blind.expert(1, ExpertOptions(noise=noise, steps=60))) for noise in (0.0, 0.02, 0.02))
    assert np.array_equal([move.action for move in clean], [move.action for move in noisy])
    difference = np.array([move.executed - move.action for move in noisy])
    assert difference.std() > 0.01 and not difference[:, GRIPPERS].any()
    assert np.array_equal([move.executed for move in noisy], [move.executed for move in again])


@pytest.mark.parametrize("seed", [0, 7, 21])
def test_the_expert_stays_below_the_speed_an_executor_allows(blind: AlohaEnv, seed: int) -> None:
    blind.reset(seed=seed)
    path = np.vstack([blind.cell.start_action, *(move.action for move in blind.expert())])
    speed = np.abs(np.diff(path, axis=0)).max(axis=0) * 25
    assert np.delete(speed, GRIPPERS).max() < 3.14, "rad/s"
    assert speed[GRIPPERS].max() < 3.0, "strokes/s"


def test_a_slower_script_fills_its_steps(blind: AlohaEnv) -> None:
    blind.reset(seed=2)
    moves = list(blind.expert(options=ExpertOptions(steps=180, tempo=0.85)))
    assert len(moves) == 180
    assert perform(blind, moves)


def test_a_second_demonstration_ends_the_first(blind: AlohaEnv) -> None:
    blind.reset(seed=2)
    first = blind.expert()
    next(first)
    blind.expert()
    with pytest.raises(RuntimeError, match="another demonstration was begun"):
        next(first)
