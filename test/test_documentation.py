"""What the documentation names exists: commands, options, arguments, pages."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from cosmos_policy.errors import GraphError
from cosmos_policy.graph import GRAPHS, Graph
from cosmos_policy_core import cli
from cosmos_policy_core.commands import described
from documented import ROOT, Documented, commands, pages

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


def test_launch_arguments_exist_and_allow_their_values() -> None:
    wrong = [f"{c.where}\n    {said}" for c in of("cosmos-policy-launch") if (said := launch_problem(c.words[1:]))]
    files = of("ros2 launch cosmos_policy")
    wrong += [f"{c.where}\n    {said}" for c in files if (said := launch_problem(c.words[3:]))]
    assert files and not wrong, "\n".join(wrong)


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
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))
    assert not [t for t in targets if "://" not in t and not (file.parent / t).exists()]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    every = [file.relative_to(ROOT / "docs") for file in sorted((ROOT / "docs").rglob("*.md"))]
    assert not [str(file) for file in every if str(file) != "README.md" and f"]({file})" not in index]
