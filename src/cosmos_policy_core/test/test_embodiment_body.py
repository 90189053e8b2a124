"""Contracts of simulated benchmarks: an end effector where a real robot has arms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cosmos_policy_core
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, ObservationError

FOLDER = Path(cosmos_policy_core.__file__).parent / "embodiments"
READINGS = {
    "robot0_gripper_qpos": np.array([0.01, -0.01]),
    "robot0_eef_pos": np.array([1.0, 2.0, 3.0]),
    "robot0_eef_quat": np.array([0.0, 0.0, 0.0, 1.0]),
    "agentview_image": np.zeros((4, 4, 3)),
}


def edited(name: str, old: str, new: str) -> str:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(("name", "horizon", "executed", "cameras"), [("libero", 16, 16, 2), ("robocasa", 32, 16, 3)])
def test_the_benchmarks_have_the_published_shapes(name: str, horizon: int, executed: int, cameras: int) -> None:
    contract = Embodiment.load(name)
    assert (contract.action_dim, contract.proprio_dim, contract.gripper_indices) == (7, 9, (6,))
    assert (contract.chunk_horizon, contract.executed_steps, len(contract.cameras)) == (horizon, executed, cameras)
    assert contract.images.flip_vertical and contract.images.jpeg_quality == 95
    assert set(contract.action_upper) == {1.0} and contract.proprio_names[2] == "robot0_eef_pos[0]"


def test_proprioception_is_gripper_then_position_then_orientation() -> None:
    body = Embodiment.load("libero").body
    assert body is not None
    np.testing.assert_array_equal(body.proprioception(READINGS), [0.01, -0.01, 1, 2, 3, 0, 0, 0, 1])
    with pytest.raises(ObservationError, match="'robot0_eef_pos' is missing"):
        body.proprioception({"robot0_gripper_qpos": np.zeros(2)})
    with pytest.raises(ObservationError, match=r"'robot0_eef_quat' has shape \(3,\)"):
        body.proprioception({**READINGS, "robot0_eef_quat": np.zeros(3)})


def test_the_mobile_base_of_robocasa_is_told_to_stand_still() -> None:
    robocasa, libero = Embodiment.load("robocasa").body, Embodiment.load("libero").body
    assert robocasa is not None and libero is not None
    np.testing.assert_array_equal(robocasa.command(np.full(7, 0.5)), [0.5] * 7 + [0, 0, 0, 0, -1])
    np.testing.assert_array_equal(libero.command(np.full(7, 0.5)), [0.5] * 7)
    with pytest.raises(ObservationError, match="Give 7 finite numbers"):
        libero.command(np.full(7, np.nan))


def test_a_benchmark_cannot_be_commanded_like_arms() -> None:
    contract = Embodiment.load("libero")
    for wrong in (
        lambda: contract.start_action,
        lambda: contract.state_timeout,
        lambda: contract.commands_from_action(np.zeros(7)),
        lambda: contract.proprio_from_states({}),
    ):
        with pytest.raises(ContractError, match="libero.yaml: arms: is missing"):
            wrong()


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("libero", "body:", "safety: {start_distance: 1.0, command_timeout: 1.0, image_age_periods: 1.0, "
         "state_silence_periods: 1.0}\nbody:", "safety: does not go with body"),
        ("libero", "yaw, gripper]", "yaw, jaw]", "body.action: ends in 'jaw'. List the gripper last"),
        ("libero", "[x, y,", "[x, x,", "body.action: 'x' is listed twice"),
        ("libero", "lower: -1.0", "lower: 1.0", "body.lower: 1.0 is not below upper 1.0"),
        ("libero", "size: 2", "size: 0", "body.proprio[0].size: 0 is out of range"),
        ("libero", "size: 2", "sise: 2", "body.proprio[0].sise: is not a known key. Did you mean 'size'?"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_with_file_key_and_remedy(name: str, old: str, new: str, sentence: str) -> None:
    with pytest.raises(ContractError) as caught:
        Embodiment.from_yaml(edited(name, old, new), source="mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml: {sentence}")


def test_arms_still_need_their_safety_and_a_contract_still_needs_a_robot() -> None:
    text = (FOLDER / "aloha.yaml").read_text()
    with pytest.raises(ContractError, match="mine.yaml: safety: is missing. Add it."):
        Embodiment.from_yaml(text[: text.index("safety:")], source="mine.yaml")
    start, end = text.index("arms:"), text.index("cameras:")
    with pytest.raises(ContractError, match="mine.yaml: arms: is missing. List the arms"):
        Embodiment.from_yaml(text[:start] + text[end:], source="mine.yaml")


def test_another_body_is_a_difference_a_checkpoint_notices() -> None:
    libero = Embodiment.load("libero")
    other = Embodiment.from_yaml(edited("libero", "appended: []", "appended: [1.0]"), source="mine.yaml")
    assert libero.differences(libero) == []
    assert libero.differences(other) == ["body.appended: nothing in config/embodiments/libero.yaml, 1.0 in mine.yaml"]
