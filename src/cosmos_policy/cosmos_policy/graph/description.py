"""What a graph is made of: arguments a person may choose, and the nodes they lead to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmos_policy.errors import GraphError


@dataclass(frozen=True)
class Argument:
    """A choice the person who starts the graph has; its default decides its type."""

    name: str
    default: str | int | float | bool
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def range(self) -> str:
        """What a number may be, in words; empty where it may be any."""
        if self.minimum is None:
            return "" if self.maximum is None else f"at most {self.maximum:g}"
        return f"at least {self.minimum:g}" if self.maximum is None else f"{self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class NodeSpec:
    """A node of the graph: one process.

    Args:
        ros: whether it is a ROS node; other programs get only their arguments.
        ends_graph: whether the graph ends with it.
    """

    package: str
    executable: str
    name: str
    namespace: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    ros: bool = True
    ends_graph: bool = True

    @property
    def label(self) -> str:
        """The name with its namespace: no two nodes of a graph share it."""
        return f"{self.namespace}/{self.name}".strip("/")


Chosen = Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A description that `ros2 launch` and the launcher start: `ros2 launch cosmos_policy <name>.launch.py`.

    Args:
        parts: each turns the chosen arguments into some of the nodes.
    """

    name: str
    description: str
    arguments: tuple[Argument, ...]
    parts: Sequence[Callable[[Chosen], list[NodeSpec]]]

    def nodes(self, given: Mapping[str, str]) -> list[NodeSpec]:
        """Describe the nodes.

        Args:
            given: arguments by name, as typed; the others keep their defaults.

        Raises:
            GraphError: an argument or its value is unknown; names the allowed ones.
            ContractError: the embodiment or the hardware cannot be used.
        """
        chosen = self.resolve(given)
        return [node for part in self.parts for node in part(chosen)]

    def resolve(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Give every argument a value of its type.

        Raises:
            GraphError: an argument or its value is unknown; names the allowed ones.
        """
        known = {argument.name: argument for argument in self.arguments}
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise GraphError(f"{name}: there is no such argument.{hint} Use: {', '.join(known)}.")
        return {
            name: value_of(argument, given[name]) if name in given else argument.default
            for name, argument in known.items()
        }

    def is_misspelt(self, name: str) -> bool:
        """Tell whether a name is not an argument but close to one."""
        known = [argument.name for argument in self.arguments]
        return name not in known and bool(difflib.get_close_matches(name, known, n=1))


def value_of(argument: Argument, text: str) -> Any:
    """Turn what was typed into a value of the argument's type.

    Raises:
        GraphError: it is none; names the allowed ones.
    """
    if argument.choices and text not in argument.choices:
        raise GraphError(f"{argument.name}: '{text}' is unknown. Use one of: {', '.join(argument.choices)}.")
    if isinstance(argument.default, bool):
        if text.lower() not in ("true", "false"):
            raise GraphError(f"{argument.name}: '{text}' is unknown. Use one of: true, false.")
        return text.lower() == "true"
    if isinstance(argument.default, (int, float)):
        return _number(argument, text)
    return text


def typed(value: object) -> str:
    """Write a value as a person would type it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(argument: Argument, text: str) -> int | float:
    kind = float if isinstance(argument.default, float) else int
    try:
        number = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise GraphError(f"{argument.name}: '{text}' is not {what}.") from None
    if argument.minimum is not None and not number >= argument.minimum:
        raise GraphError(f"{argument.name}: {text} is too small. Give {argument.range}.")
    if argument.maximum is not None and not number <= argument.maximum:
        raise GraphError(f"{argument.name}: {text} is too large. Give {argument.range}.")
    return number
