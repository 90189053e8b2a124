"""Start the graph where the launch package is not installed: one process per node, under the honcho library.

For example `cosmos-policy-launch robot:=sim planner:=direct` for aloha_bringup, or `cosmos-policy-launch aloha_teleop
robot:=emulated`; `--show-args` lists the arguments.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from honcho.manager import Manager

from cosmos_policy import dds
from cosmos_policy.errors import GraphError
from cosmos_policy.graph import BRINGUP, GRAPHS, Graph, NodeSpec
from cosmos_policy.graph.description import typed
from cosmos_policy_core.errors import CosmosPolicyError

# Nodes end by themselves within 3.5 s of SIGTERM; what is left then does not listen any more.
SECONDS_TO_KILL = 4.5

USAGE = "usage: cosmos-policy-launch [graph] [name:=value ...] [--show-args]"

SHOW = ("--show-args", "-s", "--help", "-h")

# The supervisor already prefixes time and node.
LOG_FORMAT = "[{severity}] {message}"


class Supervisor(Manager):
    """honcho's manager, safe against a signal while processes still start and against processes that never end.

    Args:
        optional: labels of processes whose end is not the end of all.
    """

    def __init__(self, optional: Collection[str] = ()) -> None:
        super().__init__()
        self._optional = frozenset(optional)

    def terminate(self) -> None:
        """Ask every process to end, once all of them exist; kill what does not."""
        if not self._all_started():
            _later(0.05, self.terminate)
            return
        if not self._terminating:
            _later(SECONDS_TO_KILL, self.kill)
        super().terminate()

    def _any_stopped(self) -> bool:
        """Tell whether a process that counts has ended; the others leave no exit code behind."""
        ended = [name for name, process in self._processes.items() if process.get("returncode") is not None]
        if ended and self._optional.issuperset(ended) and not self._terminating:
            self.returncode = None
        return not self._optional.issuperset(ended)


def run(nodes: Sequence[NodeSpec]) -> int:
    """Run nodes until Ctrl-C or until one of them ends, and return the exit code.

    The exit code is 0 after Ctrl-C or SIGTERM, otherwise that of the node that ended first.

    Raises:
        GraphError: the executable of a node is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="cosmos_policy_") as folder:
        supervisor = Supervisor([node.label for node in nodes if not node.ends_graph])
        environment = {
            "PYTHONUNBUFFERED": "1",
            "RCUTILS_CONSOLE_OUTPUT_FORMAT": LOG_FORMAT,
            **dds.profile(os.environ),
            **os.environ,
        }
        for node in nodes:
            supervisor.add_process(node.label, command(node, Path(folder)), env=environment)
        supervisor.loop()
    code = int(supervisor.returncode or 0)
    if code in (130, 143):
        return 0
    return 128 - code if code < 0 else code


def command(node: NodeSpec, folder: Path) -> str:
    """Write the node's parameter file into a folder and return the shell command that starts it.

    Raises:
        GraphError: the executable is not installed.
    """
    words = ["exec", str(executable(node)), *node.arguments]
    if not node.ros:
        return shlex.join(words)
    words += ["--ros-args", "-r", f"__node:={node.name}"]
    if node.namespace:
        words += ["-r", f"__ns:={node.namespace}"]
    for name, other in node.remappings.items():
        words += ["-r", f"{name}:={other}"]
    if node.parameters:
        words += ["--params-file", str(_write_parameters(node, folder))]
    return shlex.join(words)


def parse(words: Sequence[str]) -> tuple[Graph, dict[str, str]]:
    """Read the name of a graph, aloha_bringup where none is given, and `name:=value` arguments.

    Raises:
        GraphError: a word has another form.
    """
    graph, given = BRINGUP, {}
    for index, word in enumerate(words):
        name, separator, value = word.partition(":=")
        if separator:
            given[name] = value
        elif index == 0 and word in GRAPHS:
            graph = GRAPHS[word]
        else:
            raise GraphError(f"'{word}' is not of the form name:=value. {USAGE}; graphs: {', '.join(GRAPHS)}")
    return graph, given


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def executable(node: NodeSpec) -> Path:
    """Return the program of a node.

    Raises:
        GraphError: it is not installed.
    """
    try:
        path = Path(get_package_prefix(node.package), "lib", node.package, node.executable)
    except PackageNotFoundError:
        raise GraphError(
            f"{node.label}: package {node.package} is not installed. Build or install it, then source its setup file."
        ) from None
    if not path.exists():
        raise GraphError(f"{node.label}: {path} does not exist. Build {node.package} again ('make setup').")
    return path


def _write_parameters(node: NodeSpec, folder: Path) -> Path:
    path = folder / f"{node.label.replace('/', '_')}.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": _plain(node.parameters)}}))
    return path


def _plain(parameters: Mapping[str, object]) -> dict[str, object]:
    """Turn tuples into lists: YAML has no tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}


def _show_arguments(graph: Graph) -> None:
    print(f"{USAGE}\ngraphs: {', '.join(GRAPHS)}\n\n{graph.name}: {graph.description}\n")
    for argument in graph.arguments:
        choices = f" One of: {', '.join(argument.choices)}." if argument.choices else ""
        allowed = f" Allowed: {argument.range}." if argument.range else choices
        print(f"  {argument.name}:={typed(argument.default)}\n      {argument.description}{allowed}")
    sys.stdout.flush()  # whoever reads no more is noticed here and not at the interpreter's end


def main(words: Sequence[str] | None = None) -> int:
    """Start the graph that the arguments describe."""
    words = sys.argv[1:] if words is None else words
    asked = [word for word in words if word not in SHOW]
    try:
        graph, given = parse(asked)
        if len(asked) < len(words):
            _show_arguments(graph)
            return 0
        return run(graph.nodes(given))
    except CosmosPolicyError as error:
        print(f"cosmos-policy-launch: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
