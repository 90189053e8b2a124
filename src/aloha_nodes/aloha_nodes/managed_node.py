"""The base of every node that owns a device or a model: a lifecycle node that brings itself up.

A node overrides four hooks and nothing else of the lifecycle. A hook that raises an error of a user's making
(a wrong path, a camera that is not there) fails its transition with that one sentence in the log.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from aloha_nodes import parameters
from aloha_nodes.errors import ParameterError

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNode):
    """A lifecycle node with four hooks: configure, activate, deactivate, cleanup.

    Transitions run in the thread that asks for them (an executor thread for the lifecycle services, the main
    thread at start and end), while the executor spins: a hook may wait for other nodes.

    Parameters:
        auto_start: configure and activate at start, without being asked.
        exit_on_failure: end the process when that fails; otherwise wait for someone to ask again.
    """

    threads = 4  # of the executor in :func:`aloha_nodes.running.run`
    failures: tuple[type[Exception], ...] = (ParameterError,)
    """Errors that a user can cause or repair; a package adds its own."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.auto_start: bool = self.declare("auto_start", True, "Configure and activate at start.")
        self.exit_on_failure: bool = self.declare(
            "exit_on_failure", self.auto_start, "End the process when the start by itself fails."
        )

    def configure(self) -> None:
        """Open and load what the node needs; nothing is served yet."""

    def activate(self) -> None:
        """Start to serve."""

    def deactivate(self) -> None:
        """Stop to serve; leave what moves at rest."""

    def cleanup(self) -> None:
        """Close everything; must also accept a node that was configured half."""

    def declare(self, name: str, default: Any, description: str, **limits: Any) -> Any:
        """Declare a parameter and return its value; see :func:`aloha_nodes.parameters.declare`, also for `limits`."""
        try:
            return parameters.declare(self, name, default, description, **limits)
        except ParameterError:
            # Nobody will use this node. Left to the garbage collector, it leaves the middleware at any odd moment, and
            # where that is during the discovery of the next one, Fast DDS never comes back.
            super().destroy_node()  # a subclass's own may need what its constructor has not made yet
            raise

    @property
    def state(self) -> str:
        """The lifecycle state: unconfigured, inactive, active or finalized."""
        label: str = self._state_machine.current_state[1]
        return label

    @property
    def is_active(self) -> bool:
        """Whether the node serves."""
        return self.state == "active"

    def start(self) -> bool:
        """Configure and activate; return whether both succeeded."""
        return bool(self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS)

    def stop(self) -> None:
        """Deactivate and clean up, as far as the node had come."""
        if self.state == "active":
            self.trigger_deactivate()
        if self.state == "inactive":
            self.trigger_cleanup()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run the configure hook; what it had opened before it failed is closed again."""
        result = self._attempt("configure", self.configure)
        if result == FAILURE:
            self._attempt("cleanup", self.cleanup)
        return super().on_configure(state) if result == SUCCESS else result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let lifecycle publishers speak, then run the activate hook."""
        super().on_activate(state)
        result = self._attempt("activate", self.activate)
        if result != SUCCESS:
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run the deactivate hook, then silence lifecycle publishers."""
        result = self._attempt("deactivate", self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run the cleanup hook."""
        result = self._attempt("cleanup", self.cleanup)
        return super().on_cleanup(state) if result == SUCCESS else result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come to rest from whatever state the node is in."""
        if state.label == "active":
            self._attempt("deactivate", self.deactivate)
        if state.label in ("active", "inactive"):
            self._attempt("cleanup", self.cleanup)
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come to rest after a defect in a hook; the node may be configured again."""
        self._attempt("deactivate", self.deactivate)
        self._attempt("cleanup", self.cleanup)
        return super().on_error(state)

    def _attempt(self, name: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except self.failures as error:
            self.get_logger().error(str(error))
            return FAILURE
        except Exception:
            self.get_logger().error(f"{name} failed through a defect of this node:\n{traceback.format_exc()}")
            return ERROR
        return SUCCESS
