"""The embodiment contract: what it says, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, ObservationError

SOURCE = "config/embodiments/aloha.yaml"


@pytest.fixture(scope="module")
def aloha() -> Embodiment:
    return Embodiment.load("aloha")


def edited(old: str, new: str, count: int = 1) -> str:
    """Return the shipped ALOHA contract with one edit."""
    folder = Path(__import__("cosmos_policy_core").__file__).parent / "embodiments"
    text = (folder / "aloha.yaml").read_text()
    assert old in text
    return text.replace(old, new, count)


@pytest.mark.parametrize("name", Embodiment.names())
def test_a_shipped_contract_survives_being_written_and_read(name: str) -> None:
    contract = Embodiment.load(name)
    assert Embodiment.from_yaml(contract.to_yaml()) == contract


def test_the_action_vector_is_left_arm_then_right_arm_each_ending_in_its_gripper(aloha: Embodiment) -> None:
    assert aloha.action_dim == aloha.proprio_dim == 14
    assert aloha.joint_names[0] == "follower_left/waist"
    assert aloha.gripper_indices == (6, 13)
    assert aloha.camera_names == ("cam_left_wrist", "cam_right_wrist", "cam_high")


def test_gripper_state_is_read_in_metres_and_gripper_action_commanded_in_motor_radians(aloha: Embodiment) -> None:
    joints = dict.fromkeys(("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"), 0.1)
    states = {arm.name: {**joints, "gripper": 99.0, "left_finger": 0.05800} for arm in aloha.arms}
    proprio = aloha.proprio_from_states(states)
    assert proprio[6] == pytest.approx(1.0) and proprio[0] == 0.1
    action = np.zeros(14)
    action[13] = 1.0
    names, positions = aloha.commands_from_action(action)["follower_right"]
    assert names[-1] == "gripper" and positions[-1] == pytest.approx(1.4910)
    assert aloha.commands_from_action(action)["follower_left"][1][-1] == pytest.approx(-0.6213)


def test_explicit_gripper_values_replace_the_named_set() -> None:
    values = "{position_open: 0.06, position_close: 0.02, joint_open: 1.5, joint_close: -0.5}"
    contract = Embodiment.from_yaml(edited("constants: orig ", f"constants: {values} "))
    assert contract.arms[0].gripper.action_to_command(0.5) == pytest.approx(0.5)
    assert contract.arms[0].gripper.command_to_action(0.5) == pytest.approx(0.5)
    assert contract.arms[0].gripper.state_to_unit(0.03) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "constants: orig",
            "constants: trossen2",
            "gripper.constants: 'trossen2' is unknown. Use one of: orig, trossen_2024, or give open/close values.",
        ),
        (
            "control_rate: 25.0",
            "control_rat: 25.0",
            "control_rat: is not a known key. Did you mean 'control_rate'?",
        ),
        (
            "control_rate: 25.0",
            "control_rate: '25'",
            "control_rate: found the text '25'. Give a number without quotes.",
        ),
        ("unit: rad\n", "unit: deg\n", "arms[0].unit: 'deg' is unknown. Use rad."),
        (
            "quantity: motor_angle, unit: rad",
            "quantity: motor_angle, unit: m",
            "arms[0].gripper.action: unit 'm' does not fit",
        ),
        (
            "name: waist",
            "name: wrist",
            "arms[0].joints[0].name: a vx300s has no joint 'wrist'. Use, in this order: waist,",
        ),
        ("upper: 3.12", "upper: 4.0", "arms[0].joints[0]: waist may move -3.12..4.0 rad, beyond the vx300s's own"),
        ("role: wrist2", "role: primary", "cameras[2].role: 'primary' is already used by cameras[1]. Use each once."),
        (
            "role: wrist,",
            "role: secondary,",
            "cameras: the roles come as secondary, wrist2, primary. Order the cameras",
        ),
        ("-0.96", "-9.96", "arms[0].start_pose[1]: -9.96 is outside -1.83..1.236. Move it inside the limits."),
        ("jpeg_quality: 95", "jpeg_quality: 950", "images.jpeg_quality: 950 is out of range."),
        ("command_timeout: 0.08", "command_timeout: .nan", "safety.command_timeout: nan is out of range."),
        ("flip_vertical: false", "flip_vertical: 0", "images.flip_vertical: found the number 0. Give true or false."),
        ("executed_steps: 50", "executed_steps: 51", "executed_steps: 51 is more than chunk_horizon. Use at most 50."),
        ("safety:", "name: twice\nsafety:", "not valid YAML (the key 'name' is given twice). Correct the file there."),
        ("images:", "images", "not valid YAML"),
    ],
)
def test_a_wrong_contract_is_refused_with_file_key_and_remedy(old: str, new: str, sentence: str) -> None:
    with pytest.raises(ContractError) as caught:
        Embodiment.from_yaml(edited(old, new), source=SOURCE)
    message = str(caught.value)
    assert sentence in message
    assert all(line.startswith(SOURCE) for line in message.splitlines())


def test_joints_in_another_order_are_refused() -> None:
    text = edited("name: waist", "name: elbow_").replace("name: elbow,", "name: waist,").replace("elbow_", "elbow")
    with pytest.raises(ContractError, match=r"arms\[0\].joints: the order is elbow, shoulder, waist"):
        Embodiment.from_yaml(text, source=SOURCE)


def test_a_missing_file_and_a_misspelt_name_say_what_exists() -> None:
    with pytest.raises(ContractError, match="Did you mean 'aloha_sim'"):
        Embodiment.load("aloha_simm")
    with pytest.raises(ContractError, match="no such file. Use one of: aloha, aloha_sim"):
        Embodiment.load("/nowhere/else.yaml")


def test_a_contract_differs_only_where_a_checkpoint_would_notice(aloha: Embodiment) -> None:
    topics = Embodiment.from_yaml(edited("/cam_high/image_raw", "/overhead/image_raw"))
    assert aloha.differences(topics) == []
    other = Embodiment.from_yaml(edited("constants: orig", "constants: trossen_2024"), source="other.yaml")
    lines = aloha.differences(other)
    assert f"arms[0].gripper.constants.joint_open: 1.491 in {SOURCE}, 1.6214 in other.yaml" in lines
    renamed = Embodiment.from_yaml(edited("name: cam_high", "name: cam_top"), source="other.yaml")
    assert any(line.startswith("cameras: ") for line in aloha.differences(renamed))


def test_joint_states_that_are_missing_or_not_numbers_are_refused(aloha: Embodiment) -> None:
    joints = dict.fromkeys(("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"), 0.0)
    left = {**joints, "left_finger": 0.03}
    with pytest.raises(ObservationError, match="no joint states of arm 'follower_right'"):
        aloha.proprio_from_states({"follower_left": left})
    with pytest.raises(ObservationError, match="joint 'left_finger' is not in the message"):
        aloha.proprio_from_states({"follower_left": left, "follower_right": joints})
    with pytest.raises(ObservationError, match="follower_right/waist: the joint state is not a finite number"):
        aloha.proprio_from_states({"follower_left": left, "follower_right": {**left, "waist": float("nan")}})


@pytest.mark.parametrize("action", [np.zeros(13), np.full(14, np.nan), np.zeros((2, 14))])
def test_an_action_that_cannot_be_commanded_is_refused(aloha: Embodiment, action: np.ndarray) -> None:
    with pytest.raises(ObservationError, match="Give 14 finite numbers"):
        aloha.commands_from_action(action)


def test_a_contract_without_a_simulation_has_no_sim_settings(aloha: Embodiment) -> None:
    with pytest.raises(ContractError, match="simulation: is missing"):
        aloha.sim_settings()


def test_every_setting_of_the_simulated_cell_comes_from_the_contract() -> None:
    contract = Embodiment.load("aloha_sim")
    settings = contract.sim_settings()
    assert settings["cameras"] == list(contract.camera_names) and settings["gripper_joint_open"] == 1.4910
    assert len(settings["start_action"]) == 14
    node = contract.sim_node_settings()
    assert node["image_topics"][2] == "/cam_high/image_raw" and settings.items() <= node.items()
