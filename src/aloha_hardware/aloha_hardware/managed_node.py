"""The base of the nodes that own a device: a lifecycle node that brings itself up, and the process around it."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from aloha_hardware.errors import HardwareError, SettingsError

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNode):
    """A lifecycle node with four hooks: configure, activate, deactivate, cleanup.

    A hook that raises a HardwareError fails its transition with that one sentence in the log.

    Parameters:
        auto_start: configure and activate at start, without being asked.
        exit_on_failure: end the process when that fails; otherwise wait for someone to ask again.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.auto_start = self.declare("auto_start", True, "Configure and activate at start.")
        self.exit_on_failure = self.declare(
            "exit_on_failure", self.auto_start, "End the process when the start by itself fails."
        )

    def configure(self) -> None:
        """Open what the node needs; nothing moves and nothing is served yet."""

    def activate(self) -> None:
        """Start to serve."""

    def deactivate(self) -> None:
        """Stop to serve; leave what moves at rest."""

    def cleanup(self) -> None:
        """Close everything; must also accept a node that was configured half."""

    def declare(
        self, name: str, default: Any, description: str, limits: tuple[float, float] | None = None, hint: str = ""
    ) -> Any:
        """Declare a read-only parameter and return its value; the default decides its type.

        Args:
            limits: the allowed range of a number, both ends included.
            hint: what to say to someone who gives another type.

        Raises:
            SettingsError: the value given at start has another type, or is out of its range.
        """
        descriptor = ParameterDescriptor(description=description, read_only=True)
        if limits is not None and isinstance(default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(limits[0]), to_value=int(limits[1]), step=1)]
        elif limits is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=limits[0], to_value=limits[1], step=0.0)]
        try:
            return self.declare_parameter(name, default, descriptor).value
        except InvalidParameterTypeException as error:
            hint = " (write 1.0, not 1)" if isinstance(default, float) else hint
            raise SettingsError(
                f"{self.get_name()}: parameter {name} is not of type {type(default).__name__}{hint}."
            ) from error
        except InvalidParameterValueException as error:
            low, high = limits or (0.0, 0.0)
            raise SettingsError(f"{self.get_name()}: parameter {name} must lie in [{low:g}, {high:g}].") from error

    @property
    def state(self) -> str:
        """The lifecycle state: unconfigured, inactive, active or finalized."""
        label: str = self._state_machine.current_state[1]
        return label

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
        """Run the activate hook."""
        result = self._attempt("activate", self.activate)
        return super().on_activate(state) if result == SUCCESS else result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run the deactivate hook."""
        result = self._attempt("deactivate", self.deactivate)
        return super().on_deactivate(state) if result == SUCCESS else result

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
        return SUCCESS

    def _attempt(self, name: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except HardwareError as error:
            self.get_logger().error(str(error))
            return FAILURE
        except Exception:
            self.get_logger().error(f"{name} failed through a defect of this node:\n{traceback.format_exc()}")
            return ERROR
        return SUCCESS


def run(make_node: Callable[[], ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run a node until Ctrl-C, SIGTERM or a failed start, and return the process's exit code.

    The signals are handled here and not by rclpy, which would close the middleware before the node came to rest.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        node = make_node()
    except HardwareError as error:
        print(error, file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    finished = threading.Event()
    spinner = threading.Thread(target=spin, args=(executor, finished, ended), name="executor", daemon=True)
    spinner.start()
    code = 0
    if node.auto_start and not node.start() and node.exit_on_failure:
        code = 1
    else:
        spare_collections()
        wait_for_end(ended)
    node.stop()
    finished.set()
    spinner.join(timeout=1.0)
    executor.shutdown(timeout_sec=1.0)
    node.destroy_node()
    rclpy.try_shutdown()
    return code


def wait_for_end(ended: threading.Event) -> None:
    """Wait until a signal's handler or another thread sets the event.

    In short waits: a signal that another thread of the process took does not wake the main thread, where Python runs
    handlers, and a wait without end would sleep through Ctrl-C.
    """
    while not ended.wait(0.2):
        pass


class Polled(CallbackGroup):
    """A group whose subscriptions no executor waits for: their owner takes the messages."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never begin."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Nothing has begun."""


def never_called(message: object) -> None:
    """Stand where rclpy wants the callback of a subscription that is polled."""
    raise AssertionError("an executor took a message that is polled for")


def spare_collections() -> None:
    """Leave what is loaded by now out of garbage collections, which stop the bus for 10 ms and more otherwise."""
    gc.collect()
    gc.freeze()


def spin(executor: Executor, finished: threading.Event, ended: threading.Event | None = None) -> None:
    """Spin until told to finish; rclpy's own spin does not survive a shutdown from another thread.

    Args:
        ended: set when spinning is over, for whatever reason.
    """
    try:
        while not finished.is_set():
            executor.spin_once(timeout_sec=0.2)
    except ExternalShutdownException:
        pass
    finally:
        if ended is not None:
            ended.set()
