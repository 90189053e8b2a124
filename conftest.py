"""Keep every test process to itself on the ROS 2 graph, and let it draw without a screen."""

from __future__ import annotations

import os
import random
import socket

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
