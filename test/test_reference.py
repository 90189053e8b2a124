"""docs/reference says what the code does, and every parameter of a node explains itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from reference import PAGES, parameters, text

SOURCES = Path(__file__).parents[1] / "src"
REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
NUMBERS = (
    ParameterType.PARAMETER_INTEGER,
    ParameterType.PARAMETER_DOUBLE,
    ParameterType.PARAMETER_INTEGER_ARRAY,
    ParameterType.PARAMETER_DOUBLE_ARRAY,
)


@pytest.fixture(scope="module", autouse=True)
def _declared() -> Iterator[None]:
    """Make the nodes once."""
    declared = parameters.declared
    found = declared()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parameters, "declared", lambda: found)
        yield


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_code_is(name: str) -> None:
    said = (REFERENCE / name).read_text(encoding="utf-8")
    assert said == text(name), f"docs/reference/{name} is not what the code says. Run: make reference"


def test_every_node_that_can_be_started_is_in_the_reference() -> None:
    scripts = {
        (setup.parent.name, script)
        for setup in SOURCES.glob("*/setup.py")
        for script in re.findall(r'"(\w+_node) = ', setup.read_text(encoding="utf-8"))
    }
    assert set(parameters.nodes()) == scripts


def test_every_parameter_explains_itself() -> None:
    lacking = [
        f"{executable} {parameter.name}: {problem}"
        for (_, executable), found in parameters.declared().items()
        for parameter in found
        if (problem := _problem(parameter))
    ]
    assert not lacking


def test_names_that_nodes_share_mean_the_same_in_one_package() -> None:
    for package in ("cosmos_policy", "aloha_hardware"):
        common = [found for (owner, _), found in parameters.declared().items() if owner == package]
        for name in ("auto_start", "exit_on_failure"):
            texts = {p.descriptor.description for found in common for p in found if p.name == name}
            assert len(texts) == 1


@pytest.mark.parametrize(
    ("executable", "name", "value", "sentence"),
    [
        ("planner_node", "candidates", 0, "planner: parameter candidates must be at least 1."),
        ("planner_node", "mode", "hurry", "planner: parameter mode: 'hurry' is unknown. Use one of: hold, "),
        ("chunk_executor_node", "realtime_priority", 100, "parameter realtime_priority must lie in [0, 99]."),
        ("arm_driver_node", "rate", 500.0, "arm_driver: parameter rate must lie in [1, 200]."),
        ("arm_driver_node", "rate", 100, "arm_driver: parameter rate is not of type float (write 1.0, not 1)."),
        ("teleop_node", "jump", 9.0, "teleop: parameter jump must lie in [0.01, 3.2]."),
        ("leaders_node", "rate", 0.0, "leaders: parameter rate must lie in [1, 500]."),
        ("camera_node", "jpeg_quality", 0, "camera: parameter jpeg_quality must lie in [1, 100]."),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(executable: str, name: str, value: object, sentence: str) -> None:
    makers = {end: make for (_, end), make in parameters.nodes().items()}
    with parameters.context(), pytest.raises(Exception, match=re.escape(sentence)) as refused:
        makers[executable](parameter_overrides=[Parameter(name, value=value)])
    assert "\n" not in str(refused.value) and not type(refused.value).__module__.startswith("rclpy")


def _problem(parameter: parameters.Parameter) -> str:
    descriptor = parameter.descriptor
    if len(descriptor.description) < 8:
        return "has no description"
    ranges = (*descriptor.integer_range, *descriptor.floating_point_range)
    if descriptor.type in NUMBERS and not (ranges or re.search(r"\[.+\]", descriptor.description)):
        return "is a number without a unit in its description, or a range"
    return ""
