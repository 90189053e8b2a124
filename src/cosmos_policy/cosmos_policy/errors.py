"""Every error the nodes raise on purpose. Each message says what happened, where, and what to do."""

from __future__ import annotations

from aloha_nodes import errors
from cosmos_policy_core.errors import CosmosPolicyError


class NodeError(CosmosPolicyError):
    """Base of all errors of this package; like the core's, a user can cause or repair them: no traceback."""


class ObservationUnavailable(NodeError):
    """A camera or arm is silent, late, or sends numbers that cannot be used; waiting may help."""


class ParameterError(NodeError, errors.ParameterError):
    """Parameters that this package cannot work with."""


class NoAnswer(NodeError):
    """A server that is not there, or that did not answer in time."""


class GraphError(NodeError):
    """An argument of the bring-up that is unknown, or a node of the graph that is not installed."""


class DemoError(NodeError):
    """A demonstration that cannot begin or go on; says which process ended and where its log is."""


class BenchError(NodeError):
    """A benchmark of the graph that cannot begin or go on; says which process ended."""


class ReplayError(NodeError):
    """A recorded episode that cannot be played back, or whose playing was ended by the executor."""
