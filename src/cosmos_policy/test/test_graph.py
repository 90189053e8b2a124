"""The one description of the graph: which nodes an argument leads to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cosmos_policy.errors import GraphError
from cosmos_policy.graph import ARGUMENTS, NodeSpec, bringup, resolve
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError


def by_name(nodes: list[NodeSpec]) -> dict[str, NodeSpec]:
    return {node.name: node for node in nodes}


def test_the_simulated_robot_is_a_cell_a_policy_a_planner_and_an_executor() -> None:
    nodes = bringup({})
    assert [(node.package, node.executable) for node in nodes] == [
        ("aloha_sim", "cell_node"),
        ("cosmos_policy", "policy_node"),
        ("cosmos_policy", "planner_node"),
        ("cosmos_policy", "chunk_executor_node"),
    ]


def test_every_node_but_the_one_that_makes_the_clock_follows_it() -> None:
    nodes = by_name(bringup({"planning_checkpoint": "elsewhere"}))
    assert {name for name, node in nodes.items() if node.parameters.get("use_sim_time")} == set(nodes) - {"sim"}


def test_the_cell_is_set_by_the_contract() -> None:
    settings = Embodiment.load("aloha_sim").sim_settings()
    assert settings.items() <= by_name(bringup({}))["sim"].parameters.items()


def test_all_nodes_of_the_robot_side_read_the_same_contract() -> None:
    nodes = by_name(bringup({}))
    assert {nodes[name].parameters["embodiment"] for name in ("policy", "planner", "chunk_executor")} == {"aloha_sim"}


def test_one_checkpoint_scores_its_own_proposals() -> None:
    nodes = by_name(bringup({"checkpoint": "mine"}))
    assert nodes["policy"].parameters["checkpoint"] == "mine"
    assert nodes["planner"].parameters["scorers"] == ["/policy"]


def test_a_planning_checkpoint_gets_a_node_of_its_own_that_scores() -> None:
    nodes = by_name(bringup({"checkpoint": "mine", "planning_checkpoint": "tuned"}))
    assert nodes["scorer"].executable == "policy_node"
    assert nodes["scorer"].parameters["checkpoint"] == "tuned"
    assert nodes["policy"].parameters["checkpoint"] == "mine"
    assert nodes["planner"].parameters["scorers"] == ["/scorer"]


def test_arguments_reach_their_node_with_their_type() -> None:
    given = {
        "planner": "direct",
        "candidates": "4",
        "futures": "2",
        "values": "1",
        "seed": "7",
        "real_time_factor": "2",
    }
    nodes = by_name(bringup(given))
    planner, sim = nodes["planner"].parameters, nodes["sim"].parameters
    assert [planner[name] for name in ("planner", "candidates", "futures", "values")] == ["direct", 4, 2, 1]
    assert sim["seed"] == 7
    assert sim["real_time_factor"] == 2.0
    assert isinstance(sim["real_time_factor"], float)


def test_rviz_is_opened_on_request() -> None:
    assert "rviz" not in by_name(bringup({}))
    assert by_name(bringup({"rviz": "true"}))["rviz"].package == "rviz2"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"robto": "sim"}, "robto: there is no such argument. Did you mean robot?"),
        ({"colour": "red"}, "colour: there is no such argument. Use: robot, planner"),
        ({"robot": "aloha"}, "robot: 'aloha' is unknown. Use one of: sim."),
        ({"planner": "bestofn"}, "planner: 'bestofn' is unknown. Use one of: direct, best_of_n."),
        ({"candidates": "many"}, "candidates: 'many' is not a whole number."),
        ({"candidates": "0"}, "candidates: 0 is too small. Give at least 1."),
        ({"real_time_factor": "nan"}, "real_time_factor: nan is too small. Give at least 0."),
        ({"rviz": "maybe"}, "rviz: 'maybe' is unknown. Use one of: true, false."),
    ],
)
def test_a_wrong_argument_is_refused_with_the_allowed_ones(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(GraphError) as refusal:
        bringup(given)
    assert str(refusal.value).startswith(sentence)


def test_a_contract_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="nowhere"):
        bringup({"embodiment": "nowhere"})


def test_defaults_are_values_that_are_allowed() -> None:
    typed: dict[str, Any] = {argument.name: str(argument.default).lower() for argument in ARGUMENTS}
    assert resolve(typed) == resolve({})
