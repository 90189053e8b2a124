"""Declare node parameters with their meaning, and refuse wrong ones in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from aloha_nodes.errors import ParameterError

# Stands in for "no bound" on the open side of a range; the descriptor needs both.
UNBOUNDED_INTEGER = 2**62
UNBOUNDED_FLOAT = 1e300


def declare(
    node: Node,
    name: str,
    default: Any,
    description: str,
    *,
    read_only: bool = True,
    choices: Sequence[Any] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    hint: str = "",
) -> Any:
    """Declare a parameter and return its value.

    Args:
        default: its type is the parameter's type.
        read_only: whether it is fixed once the node runs.
        choices: the allowed values, where there are few.
        minimum, maximum: the allowed range, both ends included.
        hint: what to say to someone who gives another type.

    Raises:
        ParameterError: the value given at start has another type, or is not allowed.
    """
    descriptor = _descriptor(default, description, read_only, choices, minimum, maximum)
    try:
        value = node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        kind = type(default).__name__
        hint = " (write 1.0, not 1)" if isinstance(default, float) else hint
        raise ParameterError(f"{node.get_name()}: parameter {name} is not of type {kind}{hint}.") from error
    except InvalidParameterValueException as error:
        raise ParameterError(f"{node.get_name()}: parameter {name} must {_within(minimum, maximum)}.") from error
    if choices is not None:
        _refuse(node, name, value, choices)
        if not read_only:
            _guard(node, name, choices)
    return value


def _descriptor(
    default: Any,
    description: str,
    read_only: bool,
    choices: Sequence[Any] | None,
    minimum: float | None,
    maximum: float | None,
) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    if choices is not None:
        descriptor.additional_constraints = f"One of: {_listed(choices)}."
    if minimum is None and maximum is None:
        return descriptor
    if isinstance(default, int):
        bounds = IntegerRange(from_value=-UNBOUNDED_INTEGER, to_value=UNBOUNDED_INTEGER)
        if minimum is not None:
            bounds.from_value = int(minimum)
        if maximum is not None:
            bounds.to_value = int(maximum)
        descriptor.integer_range = [bounds]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-UNBOUNDED_FLOAT if minimum is None else float(minimum),
                to_value=UNBOUNDED_FLOAT if maximum is None else float(maximum),
            )
        ]
    return descriptor


def _guard(node: Node, name: str, choices: Sequence[Any]) -> None:
    def check(parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == name and parameter.value not in choices:
                return SetParametersResult(successful=False, reason=f"{name}: use one of: {_listed(choices)}.")
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)


def _refuse(node: Node, name: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        raise ParameterError(
            f"{node.get_name()}: parameter {name}: '{value}' is unknown. Use one of: {_listed(choices)}."
        )


def _listed(choices: Sequence[Any]) -> str:
    return ", ".join(str(choice) for choice in choices)


def _within(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f"lie in [{minimum:g}, {maximum:g}]"
    return f"be at least {minimum:g}" if minimum is not None else f"be at most {maximum:g}"
