"""Launch files and their arguments, from the description of the graphs."""

from __future__ import annotations

from cosmos_policy.graph import GRAPHS
from cosmos_policy.graph.description import Argument, Graph, typed
from reference.tables import code, table


def page() -> str:
    """Write the page."""
    head = (
        "# Launch files\n\n`ros2 launch cosmos_policy NAME.launch.py argument:=value ...`, or, where the launch "
        "package is not installed, `cosmos-policy-launch NAME argument:=value ...`. Both list the arguments with "
        "`--show-args`, and both refuse unknown values by naming the allowed ones.\n"
    )
    return "\n".join([head, *map(_graph, GRAPHS.values())])


def _graph(graph: Graph) -> str:
    rows = [(code(a.name), code(typed(a.default)), _allowed(a), a.description) for a in graph.arguments]
    return f"## {graph.name}\n\n{graph.description}\n\n{table(('argument', 'default', 'allowed', 'meaning'), rows)}"


def _allowed(argument: Argument) -> str:
    if argument.choices:
        return ", ".join(map(code, argument.choices))
    if isinstance(argument.default, bool):
        return "`true`, `false`"
    return argument.range
