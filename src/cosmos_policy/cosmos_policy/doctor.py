"""What the nodes add to `cosmos-policy doctor`: the ROS 2 they would run in."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

TESTED = ("jazzy", "humble")
HIGHEST_DOMAIN = 101  # above, ports of the domain are handed out to others
GRAPH_PACKAGES = ("cosmos_policy", "cosmos_policy_msgs", "aloha_hardware", "aloha_sim", "aloha_description")
OPTIONAL = {
    "launch_ros": "ros2 launch; without it use cosmos-policy-launch",
    "rviz2": "rviz:=true",
    "robot_state_publisher": "rviz:=true",
}
DEFAULT_RMW = "rmw_fastrtps_cpp"
DISCOVERY_TIME = 3.0  # [s]
SOURCE = "Source ROS 2 and the workspace: source tools/env.bash"

Row = dict[str, str]


def check(subject: Mapping[str, Any]) -> Iterator[Row]:
    """Check distribution, packages, middleware and domain, and send ourselves a message."""
    if importlib.util.find_spec("rclpy") is None:
        yield _row("ros", "error", "rclpy cannot be imported", SOURCE)
        return
    yield _distribution()
    yield from _packages()
    yield _middleware()
    yield _domain()
    yield _range()
    yield from _talk()


def _row(area: str, level: str, message: str, remedy: str = "") -> Row:
    return {"area": area, "level": level, "message": message, "remedy": remedy}


def _distribution() -> Row:
    name = os.environ.get("ROS_DISTRO", "")
    if not name:
        return _row("ros", "error", "ROS_DISTRO is not set", SOURCE)
    if name not in TESTED:
        return _row("ros", "warning", f"ROS 2 {name} was not tried", f"Use one of: {', '.join(TESTED)}")
    return _row("ros", "ok", f"ROS 2 {name}")


def _packages() -> Iterator[Row]:
    from ament_index_python.packages import get_packages_with_prefixes

    found = get_packages_with_prefixes()
    missing = [name for name in GRAPH_PACKAGES if name not in found]
    if missing:
        yield _row("ros", "error", f"packages are not found: {', '.join(missing)}", f"Build them: make setup. {SOURCE}")
    else:
        yield _row("ros", "ok", f"packages {', '.join(GRAPH_PACKAGES)}")
    for name, use in OPTIONAL.items():
        if name not in found and importlib.util.find_spec(name) is None:
            yield _row("ros", "note", f"{name} is not installed; it is for {use}")


def _middleware() -> Row:
    from ament_index_python.packages import get_packages_with_prefixes

    from cosmos_policy.dds import VARIABLES

    name = os.environ.get("RMW_IMPLEMENTATION", "")
    if name and name not in get_packages_with_prefixes():
        text = f"RMW_IMPLEMENTATION is {name}, which is not installed"
        return _row("middleware", "error", text, f"Install ros-$ROS_DISTRO-{name.replace('_', '-')}, or unset it")
    profiles = {variable: os.environ[variable] for variable in VARIABLES if os.environ.get(variable)}
    for variable, file in profiles.items():
        if not os.path.exists(file):
            text = f"{variable} is {file}, which is not there"
            return _row("middleware", "error", text, "Correct the path, or unset it")
    read, unread = VARIABLES
    if os.environ.get("ROS_DISTRO") in TESTED and list(profiles) == [unread]:
        text = f"{unread} is set, which Fast DDS 2 does not read; only the launch files pass it on"
        return _row("middleware", "warning", text, f"Set {read} to the same file")
    profile = next(iter(profiles.values()), "")
    return _row("middleware", "ok", f"{name or DEFAULT_RMW}{f', profile {profile}' if profile else ''}")


def _domain() -> Row:
    text = os.environ.get("ROS_DOMAIN_ID", "0")
    if not text.isdigit() or int(text) > HIGHEST_DOMAIN:
        return _row("domain", "error", f"ROS_DOMAIN_ID is '{text}'", f"Set it to a number from 0 to {HIGHEST_DOMAIN}")
    return _row("domain", "ok", f"ROS_DOMAIN_ID {text}; all machines of the robot need the same")


def _range() -> Row:
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1" or reach == "LOCALHOST":
        return _row("discovery", "ok", "only nodes on this machine are seen, and only they can move the robot")
    if reach == "OFF":
        return _row(
            "discovery", "error", "discovery is off: no node finds another", "Set ROS_AUTOMATIC_DISCOVERY_RANGE"
        )
    return _row(
        "discovery",
        "warning",
        f"everyone in this network ({reach or 'SUBNET'}) can see the nodes and move the robot",
        "Set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST where the graph runs on one machine",
    )


def _talk() -> Iterator[Row]:
    """Send a message through the middleware, and see who else is in the domain."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from std_msgs.msg import String

    from cosmos_policy.dds import VARIABLES

    context = Context()
    rclpy.init(context=context)
    try:
        ours, other = (rclpy.create_node(f"doctor_{which}", context=context) for which in ("speaker", "listener"))
        heard: list[String] = []
        other.create_subscription(String, "/doctor", heard.append, 10)
        publisher = ours.create_publisher(String, "/doctor", 10)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(other)
        end = time.monotonic() + DISCOVERY_TIME
        while not heard and time.monotonic() < end:
            publisher.publish(String(data="hello"))
            executor.spin_once(timeout_sec=0.1)
        names = sorted(set(ours.get_node_names()) - {"doctor_speaker", "doctor_listener"})
        executor.shutdown()
    except Exception as error:
        yield _row("middleware", "error", f"a node cannot be made ({error})", "Unset RMW_IMPLEMENTATION and try again")
        return
    finally:
        context.try_shutdown()
    if not heard:
        remedy = f"Check firewall and loopback interface; unset RMW_IMPLEMENTATION and {' and '.join(VARIABLES)}"
        yield _row("middleware", "error", "a message between two nodes did not arrive", remedy)
    else:
        yield _row("middleware", "ok", "a message between two nodes arrived")
    if names:
        yield _row("domain", "note", f"nodes already running here: {', '.join(names)}")
