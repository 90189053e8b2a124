"""Commands whose work is done by ROS nodes, in packages that the core does without."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from cosmos_policy_core.errors import ConfigurationError


def nodes_module(name: str, what: str) -> ModuleType:
    """Import a module of the node packages.

    Args:
        what: subject and verb for the error: "bench control measures".

    Raises:
        ConfigurationError: ROS or the nodes are not installed.
    """
    try:
        if importlib.util.find_spec(name) is None or importlib.util.find_spec("rclpy") is None:
            raise ModuleNotFoundError
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{what} ROS nodes, which are not installed here. Run `make setup`, then `source tools/env.bash`."
        ) from None
