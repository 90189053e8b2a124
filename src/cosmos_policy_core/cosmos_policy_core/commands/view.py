"""`cosmos-policy view`: a running graph in the browser of this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from cosmos_policy_core.commands.with_ros import nodes_module
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError

NODE = "cosmos_policy.live_view_node"  # with ROS, which this package does without
HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Options:
    """Serve the live view of a graph that runs already; Ctrl-C ends the view, not the graph.

    The page shows arms, cameras, candidates, imagined futures and plans, and has buttons to start, cancel and stop.
    Without a token only this machine can open it.

    Examples:
        cosmos-policy view
        cosmos-policy view --host 0.0.0.0 --token "$(python3 -c 'import secrets; print(secrets.token_urlsafe())')"
    """

    embodiment: str = "aloha_sim"
    """Contract: a name or a YAML file."""
    description: str = ""
    """URDF or xacro file of the robot, its links and joints named <arm>/<name>; empty: the ALOHA cell."""
    tip: str = "ee_gripper_link"
    """Link of each arm, without <arm>/, whose path is drawn."""
    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own needs a token."""
    port: int = 8080
    """Port to listen on."""
    token: str = ""
    """Secret of at least 16 characters that opens the page: http://HOST:PORT/?token=..."""
    instruction: str = ""
    """Instruction that stands in the page at first."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Run the node of the live view.

    Raises:
        ConfigurationError: the nodes are not installed, or there is no such port.
        CosmosPolicyError: contract, host or token cannot be used.
    """
    if not 1 <= options.port <= HIGHEST_PORT:
        raise ConfigurationError(f"--port {options.port}: there is no such port. Give 1 to {HIGHEST_PORT}.")
    Embodiment.load(options.embodiment)
    node = nodes_module(NODE, "view shows")
    node.check_address(options.host, options.port, options.token)
    return int(node.main(node_words(options)))


def node_words(options: Options) -> list[str]:
    """Return the command line of the node."""
    words = ["live_view", "--ros-args"]
    for name in ("embodiment", "description", "tip", "host", "token", "instruction"):
        words += ["-p", f"{name}:={_quoted(getattr(options, name))}"] if getattr(options, name) else []
    return [*words, "-p", f"port:={options.port}"]


def _quoted(text: str) -> str:
    """Write a text as YAML, which would read a token of digits as a number and end at an apostrophe."""
    return json.dumps(text, ensure_ascii=False)
