"""What the documentation names exists: commands, options, arguments, pages."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cosmos_policy.errors import GraphError
from cosmos_policy.graph import GRAPHS, Graph, NodeSpec
from cosmos_policy.graph.robot import ROBOTS
from cosmos_policy_core import cli
from cosmos_policy_core.commands import described
from cosmos_policy_core.doctor.subject import examine
from cosmos_policy_core.embodiment import Embodiment, Hardware
from documented import MODULE, ROOT, ROS_RUN, Documented, anchors, blocks, commands, console_scripts, pages

FOUND = commands()
OPEN = re.compile(r"[<>\[\]$]|\.\.\.|^[A-Z_]+$")  # a value that the reader fills in


def of(door: str) -> list[Documented]:
    return [command for command in FOUND if " ".join(command.words).startswith(f"{door} ")]


@functools.cache
def options(word: str) -> dict[str, tuple[str, ...]]:
    first = word if word in cli.COMMANDS else word.split()[0]
    return described.options(described.help_text(word, cli.COMMANDS[first][0]))


def problem(words: tuple[str, ...]) -> str:
    """Say what is wrong with the words after `cosmos-policy`."""
    if words[0] not in cli.COMMANDS:
        return "" if words[0].startswith("-") or OPEN.search(words[0]) else f"there is no command {words[0]}"
    inner = described.words(words[0], cli.COMMANDS[words[0]][0])
    two = " ".join(words[:2])
    known = options(two if two in cli.COMMANDS or two in inner else words[0])
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if not name.startswith("--"):
            continue
        if name not in known:
            return f"{words[0]} has no option {name}"
        value = value or (words[index + 1] if index + 1 < len(words) else "")
        if known[name] and value not in known[name] and not OPEN.search(value):
            return f"{name} does not allow {value}"
    return ""


def launch_problem(words: tuple[str, ...]) -> str:
    """Say what is wrong with the name of a graph and its arguments."""
    graph, given = launched(words)
    if graph is None:
        return f"there is no graph {words[0]}"
    defaults = {argument.name: str(argument.default).lower() for argument in graph.arguments}
    try:
        graph.resolve({name: defaults.get(name, "") if OPEN.search(value) else value for name, value in given.items()})
    except GraphError as error:
        return str(error)
    return ""


def run_problem(words: tuple[str, ...]) -> str:
    """Say what is wrong with the package and executable after `ros2 run`; other people's packages are theirs."""
    package, executable = words[0], (*words[1:], "")[0]
    known = console_scripts(package)
    if not (ROOT / "src" / package).exists() or executable in known or OPEN.search(executable):
        return ""
    return f"{package} has no executable {executable}"


def module_problem(words: tuple[str, ...]) -> str:
    """Say what is wrong with the module after `python -m`."""
    try:
        found = importlib.util.find_spec(words[0])
    except ModuleNotFoundError:
        found = None
    return "" if found or OPEN.search(words[0]) else f"there is no module {words[0]}"


def launched(words: tuple[str, ...]) -> tuple[Graph | None, dict[str, str]]:
    """Return the graph that words after `cosmos-policy-launch` or the package name, and its arguments."""
    graph: Graph | None = GRAPHS["aloha_bringup"]
    name = words[0].removesuffix(".launch.py") if words else ""
    if name and ":=" not in name and not name.startswith("-") and not OPEN.search(name):
        graph = GRAPHS.get(name)
    return graph, dict(word.split(":=", 1) for word in words if ":=" in word)


def test_the_documentation_shows_commands() -> None:
    assert len(of("cosmos-policy")) > 30 and len(of("cosmos-policy-launch")) > 5


def test_commands_and_options_exist() -> None:
    wrong = [f"{c.where}\n    {said}" for c in of("cosmos-policy") if (said := problem(c.words[1:]))]
    assert not wrong, "\n".join(wrong)


def test_what_does_not_exist_is_found() -> None:
    assert problem(("evil", "--seed", "1")) == "there is no command evil"
    assert problem(("eval", "world-model", "--planner", "direct")) == "eval has no option --planner"
    assert problem(("bench", "model", "--size", "3b")) == "--size does not allow 3b"
    assert "Did you mean seed?" in launch_problem(("sed:=1",))
    assert "Use one of" in launch_problem(("aloha_teleop", "leader:=foot"))
    assert run_problem(("aloha_hardware", "legs", "start")) == "aloha_hardware has no executable legs"
    assert module_problem(("aloha_simm.bench",)) == "there is no module aloha_simm.bench"


def test_launch_arguments_exist_and_allow_their_values() -> None:
    wrong = [f"{c.where}\n    {said}" for c in of("cosmos-policy-launch") if (said := launch_problem(c.words[1:]))]
    files = of("ros2 launch cosmos_policy")
    wrong += [f"{c.where}\n    {said}" for c in files if (said := launch_problem(c.words[3:]))]
    assert files and not wrong, "\n".join(wrong)


def test_executables_and_modules_exist() -> None:
    runs, modules = of(ROS_RUN), of(MODULE)
    wrong = [f"{c.where}\n    {said}" for c in runs if (said := run_problem(c.words[2:]))]
    wrong += [f"{c.where}\n    {said}" for c in modules if (said := module_problem(c.words[2:]))]
    assert len(runs) > 20 and len(modules) > 10 and not wrong, "\n".join(wrong)


def test_commands_behind_side_doors_are_found() -> None:
    known = {(c.where.partition(": ")[0], " ".join(c.words)) for c in FOUND}
    assert ("README.md", "cosmos-policy completion bash") in known  # source <(...)
    assert ("docs/tutorials/flywheel.md", "ros2 run cosmos_policy record_keys") in known  # install/.../lib/...
    assert any(command.startswith("python -m cosmos_policy_core.training aloha") for _, command in known)  # torchrun


def test_graphs_that_need_no_robot_can_be_started() -> None:
    lines = [c.words[1:] for c in of("cosmos-policy-launch")]
    graphs = [launched(words) for words in lines if {"robot:=sim", "robot:=emulated"} & set(words)]
    assert len(graphs) > 5
    for graph, given in graphs:
        assert graph is not None and graph.nodes(given)


def test_the_data_commands_of_the_flywheel_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_flywheel(("collect-demos", "inspect-data demos", "statistics"), tmp_path, monkeypatch, shorter=True)
    assert (tmp_path / "demos" / "dataset_statistics.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_flywheel_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ("collect-demos", "inspect-data demos", "statistics", "train", "eval --checkpoint nano", "inspect-data roll")
    run_flywheel(done, tmp_path, monkeypatch)
    assert (tmp_path / "checkpoints" / "planning" / "config.json").exists()


def run_flywheel(
    which: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, *, shorter: bool = False
) -> None:
    """Run commands of that page in a folder, in their order; shorter: with a single episode."""
    monkeypatch.chdir(folder)
    lines = [c.words[1:] for c in of("cosmos-policy") if c.where.startswith("docs/tutorials/flywheel.md")]
    chosen = [words for words in lines if " ".join(words).startswith(which)]
    assert len(chosen) >= len(which)
    for words in chosen:
        one = [
            "1" if shorter and before == "--episodes" else word
            for before, word in zip(("", *words), words, strict=False)
        ]
        assert cli.main(one) == 0, " ".join(one)


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong = [c.where for c in of("make") if "=" not in c.words[1] and c.words[1] not in targets]
    assert not wrong


def test_examples_of_the_command_line_are_right() -> None:
    lines = [
        tuple(line.split())
        for word, (module, _) in cli.COMMANDS.items()
        for inner in described.words(word, module)
        for line in re.findall(r"^ +cosmos-policy (.+)$", described.help_text(inner, module), re.MULTILINE)
    ]
    assert len(lines) > len(cli.COMMANDS)
    assert not [f"{line}: {said}" for line in lines if (said := problem(line))]


@pytest.mark.parametrize("file", pages(), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", file.read_text(encoding="utf-8"))
    targets = [(file.parent / target if target else file, anchor) for target, anchor in links if "://" not in target]
    assert not [str(target) for target, _ in targets if not target.exists()]
    assert not [f"{target}#{anchor}" for target, anchor in targets if anchor and anchor not in anchors(target)]


@pytest.mark.timeout(600)
def test_the_python_of_the_front_page_plans_a_chunk() -> None:
    (program,) = blocks(ROOT / "README.md", "python")
    contract = Embodiment.load("aloha_sim")
    seen = {camera.name: np.zeros((camera.height, camera.width, 3), np.uint8) for camera in contract.cameras}
    names = {"images": seen, "joints": contract.start_action}
    exec(compile(program, "README.md", "exec"), names)
    assert names["plan"].actions.shape == (contract.chunk_horizon, contract.action_dim)


def every_node() -> Iterator[NodeSpec]:
    """Yield the nodes of every graph on every robot, with everything that is off by default."""
    wanted = {"rviz": "true", "monitor": "true", "live": "true", "record": "bags", "planning_checkpoint": "planning"}
    for graph in GRAPHS.values():
        names = {argument.name for argument in graph.arguments}
        given = {name: value for name, value in wanted.items() if name in names}
        for robot, kind in ROBOTS.items():
            for leader in ("scripted", "arms") if "leader" in names and kind.hardware else ("scripted",):
                chosen = {"leader": leader} if "leader" in names else {}
                hardware = {"hardware": "emulated"} if kind.hardware else {}
                yield from graph.nodes({**given, **chosen, **hardware, "robot": robot})


def test_the_page_of_the_graph_has_every_node() -> None:
    page = (ROOT / "docs" / "concepts" / "graph.md").read_text(encoding="utf-8")
    found = {(node.name, f"{node.package} {node.executable}") for node in every_node()}
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    missing = [
        f"{name}: {program}"
        for name, program in sorted(found)
        if not any(re.match(rf"\| `(<\w+>/)?{name}` \| `{program}` \|", row) for row in rows)
    ]
    assert len(found) > 12 and not missing


def test_the_robot_of_the_tutorial_is_one() -> None:
    folder = ROOT / "docs" / "examples"
    contract, cell = str(folder / "two_arms.yaml"), str(folder / "two_arms_cell.yaml")
    robot = {"robot": "aloha", "embodiment": contract, "hardware": cell}
    assert Embodiment.load(contract).action_dim == 16 and Hardware.load(cell)
    assert not [finding for finding in examine(contract, cell, "", motors=True).findings if finding.level == "error"]
    labels = [node.label for node in GRAPHS["aloha_bringup"].nodes(robot)]
    assert labels == ["emergency_stop", "cam_left/camera", "cam_right/camera", "policy", "planner", "chunk_executor"]
    for name in ("aloha_teleop", "aloha_record"):
        assert "teleop" in [node.label for node in GRAPHS[name].nodes({**robot, "leader": "keyboard"})]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    every = [file.relative_to(ROOT / "docs") for file in sorted((ROOT / "docs").rglob("*.md"))]
    assert not [str(file) for file in every if str(file) != "README.md" and f"]({file})" not in index]
