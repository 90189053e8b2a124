"""An evaluation through the graph asks the graph for what the same evaluation asks its planner for in this process."""

from __future__ import annotations

import pytest

from cosmos_policy.graph import BRINGUP
from cosmos_policy.graph_trials import graph_arguments
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.campaign import Campaign

FULL = Campaign(
    "mine",
    "best_of_n",
    planning_checkpoint="planning",
    task="candies_in_bowl",
    preset="reference",
    candidates=4,
    futures=2,
    values=1,
    aggregation="average",
    depth=2,
)


def test_every_setting_reaches_the_nodes() -> None:
    nodes = {node.name: node.parameters for node in BRINGUP.nodes(graph_arguments(FULL))}
    assert nodes["sim"]["task"] == "candies_in_bowl"
    assert nodes["policy"]["checkpoint"] == "mine"
    assert nodes["scorer"]["checkpoint"] == "planning"
    asked = {name: nodes["planner"][name] for name in ("planner", "preset", "aggregation")}
    assert asked == {"planner": "best_of_n", "preset": "reference", "aggregation": "average"}
    assert [nodes["planner"][name] for name in ("candidates", "futures", "values", "depth")] == [4, 2, 1, 2]


def test_settings_that_were_not_given_stay_with_the_graph() -> None:
    arguments = graph_arguments(Campaign("nano_transfer_cube"))
    assert set(arguments) == {"robot", "embodiment", "task", "planner", "checkpoint", "preset"}
    assert "scorer" not in {node.name for node in BRINGUP.nodes(arguments)}


@pytest.mark.parametrize(
    ("campaign", "name"),
    [
        (Campaign("mine", imagine=False), "imagine"),
        (Campaign("mine", steps=3), "steps"),
        (Campaign("mine", light_shift=0.5), "light-shift"),
        (Campaign("mine", object_x_range=(0.0, 0.1)), "object-x-range"),
    ],
)
def test_settings_the_graph_has_no_argument_for_are_refused_by_name(campaign: Campaign, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--{name} is not an argument of the graph"):
        graph_arguments(campaign)
