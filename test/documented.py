"""Commands that the documentation names, found in its blocks of code and between its backticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"  # written from the code
ROS_RUN, MODULE = "ros2 run", "python -m"
FRONT_DOORS = ("cosmos-policy", "cosmos-policy-launch", "ros2 launch cosmos_policy", "make", ROS_RUN, MODULE)


@dataclass(frozen=True)
class Documented:
    """A command, and where it stands."""

    where: str
    words: tuple[str, ...]


def pages() -> list[Path]:
    """Return every page a person wrote."""
    fixed = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    cards = sorted((ROOT / "src").glob("*/README.md")) + sorted((ROOT / "src").glob("*/*/checkpoints/*/README.md"))
    return [*fixed, *sorted(file for file in (ROOT / "docs").rglob("*.md") if REFERENCE not in file.parents), *cards]


def commands() -> list[Documented]:
    """Find the commands of this project."""
    return [
        Documented(f"{file.relative_to(ROOT)}: {line}", tuple(words))
        for file in pages()
        for line in _code(file.read_text(encoding="utf-8"))
        for words in map(_by_front_door, _split(line))
        if any(" ".join(words).startswith(f"{door} ") for door in FRONT_DOORS)
    ]


def blocks(file: Path, language: str) -> list[str]:
    """Return the blocks of code of a page that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def anchors(file: Path) -> set[str]:
    """Return what a link to a place in a page may name: its headings, as GitHub turns them into anchors."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def console_scripts(package: str) -> dict[str, str]:
    """Return the executables of a package, and the function behind each: `module:function`."""
    setup = ROOT / "src" / package / "setup.py"
    text = setup.read_text(encoding="utf-8") if setup.exists() else ""
    listed = re.search(r'"console_scripts": \[(.*?)\]', text, re.DOTALL)
    return dict(re.findall(r'"([\w-]+) = ([\w.]+:\w+)"', listed[1])) if listed else {}


def _code(text: str) -> Iterator[str]:
    """Yield the lines of code blocks, joined where they continue, and what stands between backticks."""
    text = text.replace("\\\n", " ")
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def _by_front_door(words: list[str]) -> list[str]:
    """Write what a side door starts as the front door would: `install/P/lib/P/E` is `ros2 run P E`."""
    installed = re.fullmatch(r"install/(\w+)/lib/\1/([\w-]+)", words[0])
    if installed:
        return [*ROS_RUN.split(), *installed.groups(), *words[1:]]
    if words[0] == "torchrun" and "-m" in words:
        return [*MODULE.split(), *words[words.index("-m") + 1 :]]
    return words


def _split(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, without comments and what the shell sets around them."""
    for inner in re.findall(r"[<$]\(([^()]+)\)", line):
        yield from _split(inner)
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in ("&&", "||", "|", ";", "&", ">"):
            if command:
                yield command
            command = []
        elif command or "=" not in word or word.startswith("-"):
            command.append(word)
