"""The base of this package's nodes: what a user can repair is told in one sentence."""

from __future__ import annotations

from aloha_hardware.errors import HardwareError
from aloha_nodes import managed_node
from aloha_nodes.errors import ParameterError


class ManagedNode(managed_node.ManagedNode):
    """A managed node whose user-made failures are those of this package."""

    failures = (HardwareError, ParameterError)
    threads = 3
