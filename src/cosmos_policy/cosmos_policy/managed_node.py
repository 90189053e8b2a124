"""The base of this package's nodes: what a user can repair is told in one sentence."""

from __future__ import annotations

from aloha_nodes import managed_node
from aloha_nodes.errors import ParameterError
from cosmos_policy_core.errors import CosmosPolicyError


class ManagedNode(managed_node.ManagedNode):
    """A managed node whose user-made failures are those of this package and of the core."""

    failures = (CosmosPolicyError, ParameterError)
