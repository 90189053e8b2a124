"""`cosmos-policy view`: a running graph in the browser of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from cosmos_policy_core.commands.with_ros import nodes_module

NODE = "cosmos_policy.live_view_node"  # with ROS, which this package does without


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
        ConfigurationError: the nodes are not installed.
    """
    node = nodes_module(NODE, "view shows")
    words = ["live_view", "--ros-args"]
    for name in ("embodiment", "host", "token", "instruction"):
        # Quoted: YAML would read a token of digits as a number.
        words += ["-p", f"{name}:='{getattr(options, name)}'"] if getattr(options, name) else []
    return int(node.main([*words, "-p", f"port:={options.port}"]))
