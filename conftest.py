"""Keep every test process to itself on the ROS 2 graph, and let it draw without a screen."""

from __future__ import annotations

import os
import random
import socket

import pytest

# Domains above 101 use ports that Linux hands out to others.
HIGHEST_DOMAIN = 101


def reserve_domain() -> tuple[int, socket.socket | None]:
    """Return a domain id no other test process on this machine uses, and the socket that reserves it.

    The reservation is the name of an abstract socket: it ends with the process, however that ends.
    """
    for domain in random.sample(range(1, HIGHEST_DOMAIN + 1), HIGHEST_DOMAIN):
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0cosmos_policy_test_domain_{domain}")
        except OSError:
            holder.close()
            continue
        return domain, holder
    return random.randint(1, HIGHEST_DOMAIN), None


# At import, before any test module imports rclpy; processes that tests start inherit it.
_domain, _reservation = reserve_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


# MuJoCo decides how it draws when it is first imported, which may be by any of the collected test modules.
if not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")


def pytest_report_header() -> str:
    """Say in the report which domain the tests talk in."""
    return f"ROS_DOMAIN_ID: {_domain}, discovery on this machine only"


# Test modules that import rclpy, or one of these, talk over DDS to other processes or threads.
LIVE_KITS = {
    "arm_kit",
    "camera_kit",
    "executor_rig",
    "graph_client",
    "graph_processes",
    "planner_fakes",
    "cosmos_policy.faults.rig",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of live graphs two more tries, which the report names: a machine that stalls may lose a message."""
    for item in items:
        if _is_live(vars(getattr(item, "module", item))):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))


def _is_live(names: dict[str, object]) -> bool:
    return "rclpy" in names or any(getattr(thing, "__module__", None) in LIVE_KITS for thing in names.values())
