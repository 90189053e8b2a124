"""Commands that the documentation names, found in its blocks of code and between its backticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"  # written from the code
FRONT_DOORS = ("cosmos-policy", "cosmos-policy-launch", "ros2 launch cosmos_policy", "make")


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
        for words in _split(line)
        if any(" ".join(words).startswith(f"{door} ") for door in FRONT_DOORS)
    ]


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


def _split(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, without comments and what the shell sets around them."""
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
