"""The one description of the graph: which nodes an argument leads to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosmos_policy.errors import GraphError
from cosmos_policy.graph import BRINGUP, GRAPHS, Graph, NodeSpec
from cosmos_policy.graph.teleop import teleop
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError


def by_name(nodes: list[NodeSpec]) -> dict[str, NodeSpec]:
    return {node.name: node for node in nodes}


def test_the_simulated_robot_is_a_cell_a_policy_a_planner_an_executor_and_a_stop() -> None:
    nodes = BRINGUP.nodes({})
    assert [(node.package, node.executable) for node in nodes] == [
        ("cosmos_policy", "emergency_stop_node"),
        ("aloha_sim", "cell_node"),
        ("cosmos_policy", "policy_node"),
        ("cosmos_policy", "planner_node"),
        ("cosmos_policy", "chunk_executor_node"),
    ]


def test_every_node_but_the_one_that_makes_the_clock_follows_it() -> None:
    nodes = by_name(BRINGUP.nodes({"planning_checkpoint": "elsewhere"}))
    assert {name for name, node in nodes.items() if node.parameters.get("use_sim_time")} == set(nodes) - {"sim"}


def test_the_cell_is_set_by_the_contract() -> None:
    settings = Embodiment.load("aloha_sim").sim_settings()
    assert settings.items() <= by_name(BRINGUP.nodes({}))["sim"].parameters.items()


def test_all_nodes_of_the_robot_side_read_the_same_contract() -> None:
    nodes = by_name(BRINGUP.nodes({}))
    assert {nodes[name].parameters["embodiment"] for name in ("policy", "planner", "chunk_executor")} == {"aloha_sim"}


def test_one_checkpoint_scores_its_own_proposals() -> None:
    nodes = by_name(BRINGUP.nodes({"checkpoint": "mine"}))
    assert nodes["policy"].parameters["checkpoint"] == "mine"
    assert nodes["planner"].parameters["scorers"] == ["/policy"]


def test_a_planning_checkpoint_gets_a_node_of_its_own_that_scores() -> None:
    nodes = by_name(BRINGUP.nodes({"checkpoint": "mine", "planning_checkpoint": "tuned"}))
    assert nodes["scorer"].executable == "policy_node"
    assert nodes["scorer"].parameters["checkpoint"] == "tuned"
    assert nodes["policy"].parameters["checkpoint"] == "mine"
    assert nodes["planner"].parameters["scorers"] == ["/scorer"]


def test_every_model_is_accelerated_where_that_is_asked_for() -> None:
    words = {"planning_checkpoint": "tuned", "accelerate": "true"}
    nodes = by_name(BRINGUP.nodes(words))
    assert nodes["policy"].parameters["accelerate"] is nodes["scorer"].parameters["accelerate"] is True
    assert by_name(BRINGUP.nodes({}))["policy"].parameters["accelerate"] is False


def test_scorers_started_elsewhere_share_the_candidates() -> None:
    nodes = by_name(BRINGUP.nodes({"more_scorers": "/scorer_b, /scorer_c"}))
    assert nodes["planner"].parameters["scorers"] == ["/policy", "/scorer_b", "/scorer_c"]


def test_a_deeper_search_gets_the_checkpoint_that_proposes_from_imagined_states() -> None:
    nodes = by_name(BRINGUP.nodes({"checkpoint": "mine", "planning_checkpoint": "tuned", "depth": "2"}))
    assert nodes["scorer"].parameters["proposing_checkpoint"] == "mine"
    assert nodes["planner"].parameters["depth"] == 2
    assert "proposing_checkpoint" not in by_name(BRINGUP.nodes({}))["policy"].parameters


def test_arguments_reach_their_node_with_their_type() -> None:
    given = {
        "planner": "direct",
        "candidates": "4",
        "futures": "2",
        "values": "1",
        "seed": "7",
        "real_time_factor": "2",
        "task": "candies_in_bowl",
    }
    nodes = by_name(BRINGUP.nodes(given))
    planner, sim = nodes["planner"].parameters, nodes["sim"].parameters
    assert [planner[name] for name in ("planner", "candidates", "futures", "values")] == ["direct", 4, 2, 1]
    assert sim["seed"] == 7
    assert sim["real_time_factor"] == 2.0
    assert sim["task"] == "candies_in_bowl"
    assert isinstance(sim["real_time_factor"], float)


def test_rviz_is_opened_on_request_with_the_frames_of_cell_and_arms() -> None:
    assert "rviz" not in by_name(BRINGUP.nodes({}))
    nodes = {node.label: node for node in BRINGUP.nodes({"rviz": "true"})}
    assert (nodes["rviz"].package, nodes["rviz"].ends_graph) == ("rviz2", False)
    assert "<robot" in nodes["robot_state_publisher"].parameters["robot_description"]
    left = nodes["follower_left/robot_state_publisher"]
    assert left.parameters["frame_prefix"] == "follower_left/"
    assert left.remappings == {"joint_states": "/follower_left/joint_states"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"robto": "sim"}, "robto: there is no such argument. Did you mean robot?"),
        ({"colour": "red"}, "colour: there is no such argument. Use: robot, embodiment"),
        ({"robot": "toaster"}, "robot: 'toaster' is unknown. Use one of: sim, aloha, emulated."),
        ({"hardware": "emulated"}, "hardware: robot:=sim has none. Use robot:=aloha, or leave hardware out."),
        ({"planner": "bestofn"}, "planner: 'bestofn' is unknown. Use one of: direct, best_of_n."),
        ({"candidates": "many"}, "candidates: 'many' is not a whole number."),
        ({"candidates": "0"}, "candidates: 0 is too small. Give at least 1."),
        ({"real_time_factor": "nan"}, "real_time_factor: nan is too small. Give at least 0."),
        ({"live_port": "99999"}, "live_port: 99999 is too large. Give 1 to 65535."),
        ({"realtime_priority": "100"}, "realtime_priority: 100 is too large. Give 0 to 99."),
        ({"rviz": "maybe"}, "rviz: 'maybe' is unknown. Use one of: true, false."),
    ],
)
def test_a_wrong_argument_is_refused_with_the_allowed_ones(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(GraphError) as refusal:
        BRINGUP.nodes(given)
    assert str(refusal.value).startswith(sentence)


def test_a_contract_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="nowhere"):
        BRINGUP.nodes({"embodiment": "nowhere"})


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_defaults_are_values_that_are_allowed(graph: Graph) -> None:
    typed: dict[str, Any] = {argument.name: str(argument.default).lower() for argument in graph.arguments}
    assert graph.resolve(typed) == graph.resolve({})


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_graph_has_arguments_that_explain_themselves_and_nodes_of_different_names(graph: Graph) -> None:
    names = [argument.name for argument in graph.arguments]
    assert len(set(names)) == len(names)
    assert all(argument.description.endswith(".") for argument in graph.arguments)
    labels = [node.label for node in graph.nodes({"robot": "emulated"})]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_graph_has_one_owner_of_the_emergency_stop_and_ends_with_it(graph: Graph) -> None:
    owners = [node for node in graph.nodes({"robot": "emulated"}) if node.executable == "emergency_stop_node"]
    assert [(node.label, node.ends_graph) for node in owners] == [("emergency_stop", True)]


def test_the_emulated_robot_has_motors_and_a_driver_per_arm_and_a_node_per_camera() -> None:
    nodes = {node.label: node for node in BRINGUP.nodes({"robot": "emulated"})}
    for arm in ("follower_left", "follower_right"):
        driver = nodes[f"{arm}/arm_driver"].parameters
        assert nodes[f"{arm}/motors"].arguments == ("--link", driver["port"])
        assert not nodes[f"{arm}/motors"].ros
        assert driver["arm"] == arm
    assert {"cam_high/camera", "cam_left_wrist/camera", "cam_right_wrist/camera"} < set(nodes)
    assert {"policy", "planner", "chunk_executor"} < set(nodes)
    assert not any(node.parameters.get("use_sim_time") for node in nodes.values())


def test_drivers_stop_each_other_and_get_the_grippers_range_as_motor_angles() -> None:
    nodes = {node.label: node for node in BRINGUP.nodes({"robot": "aloha", "hardware": "emulated"})}
    left = nodes["follower_left/arm_driver"].parameters
    assert left["partners"] == ["follower_right"]
    assert (left["lower"][-1], left["upper"][-1]) == (-0.6213, 1.4910)
    assert left["velocity"][-1] == pytest.approx(3.0 * (1.4910 + 0.6213))
    assert left["rate"] == 100.0


def test_the_real_robot_needs_a_hardware_file_that_says_which_camera_is_which() -> None:
    with pytest.raises(ContractError, match="cameras.cam_left_wrist: device is empty"):
        BRINGUP.nodes({"robot": "aloha"})


def test_a_lab_writes_its_own_hardware_file(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(
        """
        arms:
          follower_left: {port: /dev/ttyUSB7, adapter_serial: FT1, models: ['8=XL430-W250'], driver: {rate: 90.0}}
        cameras:
          cam_high: {source: v4l2, device: /dev/video3, rate: 30.0, node: {stale_after: 1.0}}
          cam_left_wrist: {source: external}
          cam_right_wrist: {source: realsense, device: "_0123"}
        """
    )
    nodes = {node.label: node for node in BRINGUP.nodes({"robot": "aloha", "hardware": str(file)})}
    left, right = (nodes[f"follower_{side}/arm_driver"].parameters for side in ("left", "right"))
    assert (left["port"], left["adapter_serial"], left["models"], left["rate"]) == (
        "/dev/ttyUSB7",
        "FT1",
        ["8=XL430-W250"],
        90.0,
    )
    assert right["port"] == ""  # the driver's own: /dev/ttyDXL_follower_right
    assert "cam_left_wrist/camera" not in nodes
    high = nodes["cam_high/camera"].parameters
    assert (high["rate"], high["stale_after"], high["width"], high["image_topic"]) == (
        30.0,
        1.0,
        640,
        "/cam_high/image_raw",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cameras: {cam_high: {source: webcam}}", "cameras.cam_high.source: 'webcam' is unknown. Use one of: v4l2"),
        ("cameras: {cam_high: {sauce: v4l2}}", "cam_high.sauce: is not a known key. Did you mean 'source'?"),
        ("arms: {follower_left: {port: 3}}", "arms.follower_left.port: found the number 3. Give text."),
        ("cameras: {}", "cameras: cam_left_wrist is missing"),
    ],
)
def test_a_wrong_hardware_file_is_refused_by_file_and_key(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(text)
    with pytest.raises(ContractError) as refusal:
        BRINGUP.nodes({"robot": "aloha", "hardware": str(file)})
    assert str(file) in str(refusal.value)
    assert sentence in str(refusal.value)


def test_emulated_leaders_are_read_and_never_hold() -> None:
    nodes = {node.label: node for node in GRAPHS["aloha_teleop"].nodes({"robot": "emulated"})}
    driver = nodes["leader_left/arm_driver"].parameters
    assert driver["kind"] == "leader" and driver["torque"] is False
    assert nodes["leader_left/motors"].arguments[-3:] == ("--arm", "leader", "--stays")


def test_leaders_and_followers_get_the_gripper_angles_of_the_same_generation() -> None:
    parameters = by_name(GRAPHS["aloha_teleop"].nodes({"leader": "scripted"}))["teleop"].parameters
    assert parameters["leader_gripper"] == [-0.6842, 0.3083] * 2
    assert parameters["follower_gripper"] == [-0.6213, 1.4910] * 2


def test_each_pair_of_grippers_has_angles_of_its_own(tmp_path: Path) -> None:
    contract, cell = tmp_path / "contract.yaml", tmp_path / "cell.yaml"
    shipped = Embodiment.load("aloha")
    left, right = shipped.arms
    newer = right.model_copy(update={"gripper": right.gripper.model_copy(update={"constants": "trossen_2024"})})
    contract.write_text(shipped.model_copy(update={"arms": (left, newer)}).to_yaml())
    cell.write_text("arms: {leader_left: {gripper: [-0.7, 0.33]}}\ncameras: {}\n")
    given = {"robot": "aloha", "embodiment": str(contract), "hardware": str(cell)}
    parameters = teleop(GRAPHS["aloha_teleop"].resolve(given))[-1].parameters
    assert parameters["leader_gripper"] == [-0.7, 0.33, -0.0552, 0.8298]
    assert parameters["follower_gripper"] == [-0.6213, 1.4910, 0.6197, 1.6214]
    assert (parameters["lower"][-1], parameters["upper"][-1]) == (-0.6213, 1.6214)
    assert parameters["velocity"][-1] == pytest.approx(newer.velocity[-1] * (1.6214 - 0.6197))


def test_followers_with_different_joints_are_refused(tmp_path: Path) -> None:
    shipped = Embodiment.load("aloha")
    left, right = shipped.arms
    contract = tmp_path / "mixed.yaml"
    base, *others = right.joints
    joints = (base.model_copy(update={"name": "base"}), *others)
    renamed = right.model_copy(update={"model": "other", "joints": joints})
    contract.write_text(shipped.model_copy(update={"arms": (left, renamed)}).to_yaml())
    given = {"robot": "aloha", "embodiment": str(contract), "leader": "scripted"}
    with pytest.raises(GraphError, match="the followers have different joints. Give every arm of the"):
        teleop(GRAPHS["aloha_teleop"].resolve(given))


def test_the_service_that_balances_the_leaders_is_a_launch_argument() -> None:
    given = {"leader": "scripted", "gravity_compensation": "gravity_compensation_enable"}
    for graph in ("aloha_teleop", "aloha_record"):
        parameters = by_name(GRAPHS[graph].nodes(given))["teleop"].parameters
        assert parameters["gravity_compensation"] == "gravity_compensation_enable"
    without = GRAPHS["aloha_teleop"].nodes({"leader": "scripted"})
    assert "gravity_compensation" not in by_name(without)["teleop"].parameters


def test_the_simulated_cell_has_no_leader_arms() -> None:
    with pytest.raises(GraphError, match=r"leader: robot:=sim has no leader arms. Use leader:=scripted or keyboard."):
        GRAPHS["aloha_teleop"].nodes({"leader": "arms"})


@pytest.mark.parametrize("robot", ["sim", "emulated"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_graph_starts_with_its_own_defaults(graph: Graph, robot: str) -> None:
    assert graph.nodes({"robot": robot})


@pytest.mark.parametrize("graph", ["aloha_teleop", "aloha_record"])
def test_leader_arms_lead_where_there_are_some_and_a_rehearsed_motion_in_simulation(graph: str) -> None:
    simulated = [node.executable for node in GRAPHS[graph].nodes({})]
    emulated = [node.label for node in GRAPHS[graph].nodes({"robot": "emulated"})]
    assert "leaders_node" in simulated
    assert {"leader_left/arm_driver", "leader_right/arm_driver"} < set(emulated)
