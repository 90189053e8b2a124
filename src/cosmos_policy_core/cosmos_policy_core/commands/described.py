"""What the commands say about themselves: in `--help`, for shell completion, and in the reference."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
import typing
from collections.abc import Callable
from unittest import mock

import tyro

WIDE = 400  # columns in which no option's first line is folded

# The head of a row of options: "--planner {direct,best_of_n}  How a chunk is chosen. ..."
ROW = re.compile(r"^[ │]*((?:-\w, )?--[\w-]+(?:, --[\w-]+)*)(?: (\S+(?: \S+)*))?(?:  |$)")


def explanation(thing: object) -> str:
    """Return a whole docstring, examples and line breaks included, which tyro would cut at the examples."""
    return inspect.getdoc(thing) or ""


def function_of(module: str) -> Callable[..., int]:
    """Return the `main` function of a command's module."""
    function: Callable[..., int] = importlib.import_module(f"cosmos_policy_core.commands.{module}").main
    return function


def description(function: Callable[..., int]) -> str:
    """Return what `--help` begins with: the docstring of the options, or of the function that has several."""
    kinds = members(function)
    return explanation(kinds.get("", function))


def members(function: Callable[..., int]) -> dict[str, type]:
    """Return the classes of a command's options by subcommand; a command without subcommands has one, named ''."""
    hint = typing.get_type_hints(function, include_extras=True)["options"]
    inner = typing.get_args(hint)[0]
    if isinstance(inner, type):
        return {"": inner}
    kinds = {}
    for kind in typing.get_args(inner):
        cls, setting = typing.get_args(kind)
        kinds[setting.name] = cls
    return kinds


def help_text(word: str, module: str, width: int = WIDE) -> str:
    """Return what `cosmos-policy WORD --help` prints in a terminal of a width.

    Args:
        word: the command, with its subcommand where it has some.
    """
    out, function = io.StringIO(), function_of(module)
    inner = [name for name in members(function) if name and word.endswith(f" {name}")]
    program = word.removesuffix(f" {inner[0]}") if inner else word
    with (
        mock.patch.dict(os.environ, {"COLUMNS": str(width)}),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        tyro.cli(
            function,
            prog=f"cosmos-policy {program}",
            description=description(function),
            args=[*inner, "--help"],
            use_underscores=False,
        )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def words(word: str, module: str) -> list[str]:
    """Return a command and its subcommands, as they are typed."""
    return [word, *(f"{word} {name}" for name in members(function_of(module)) if name)]


def options(text: str) -> dict[str, tuple[str, ...]]:
    """Read the options out of a wide help text: the values each allows, where there are few."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        row = ROW.match(line)
        if row is None:
            continue
        choices = re.search(r"\{([^}]*)\}", row[2] or "")
        values = tuple(value for value in choices[1].split(",") if value != "None") if choices else ()
        found |= dict.fromkeys(row[1].split(", "), values)
    return found
