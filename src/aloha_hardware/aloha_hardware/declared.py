"""Parameters of a node that are the fields of a settings class, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aloha_hardware.managed_node import ManagedNode


def declared(
    node: ManagedNode, settings: type[Any], descriptions: Mapping[str, str], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Declare a parameter per field of a dataclass and return the values by name.

    Args:
        settings: its defaults decide the types.
        ranges: the allowed ranges of numbers, both ends included.

    Raises:
        ParameterError: a value is of another type or out of its range.
    """
    values: dict[str, Any] = {}
    for entry in fields(settings):
        default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
        # ROS cannot tell the type of an empty list.
        typed = [""] if default == [] else default
        low, high = ranges.get(entry.name, (None, None))
        value = node.declare(entry.name, typed, descriptions[entry.name], minimum=low, maximum=high)
        values[entry.name] = value if isinstance(value, (str, int, float)) else tuple(v for v in value if v != "")
    return values
