"""Where the processes of the nodes start: Ctrl-C ends them silently while their libraries still load.

Importing torch takes seconds, and Python's own answer to Ctrl-C in the middle of it is a traceback. The node installs
its handlers once it exists; see :mod:`aloha_nodes.running`.
"""

from __future__ import annotations

import importlib
import signal


def policy_node() -> int:
    """Run the policy."""
    return _run("cosmos_policy.policy_node")


def scorer_node() -> int:
    """Run a scorer."""
    return _run("cosmos_policy.scorer_node")


def planner_node() -> int:
    """Run the planner."""
    return _run("cosmos_policy.planner_node")


def emergency_stop_node() -> int:
    """Keep the emergency stop."""
    return _run("cosmos_policy.emergency_stop_node")


def chunk_executor_node() -> int:
    """Run the chunk executor."""
    return _run("cosmos_policy.chunk_executor_node")


def episode_recorder_node() -> int:
    """Run the episode recorder."""
    return _run("cosmos_policy.episode_recorder_node")


def episode_replay_node() -> int:
    """Play a recorded episode back."""
    return _run("cosmos_policy.episode_replay_node")


def monitor_node() -> int:
    """Run the monitor."""
    return _run("cosmos_policy.monitor_node")


def live_view_node() -> int:
    """Run the live view."""
    return _run("cosmos_policy.live_view_node")


def _run(module: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code: int = importlib.import_module(module).main()
    return code
