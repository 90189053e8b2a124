"""Execute action chunks on the arms, in time, until they end for a reason with a name."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from aloha_nodes.emergency_stop import TOPIC, EmergencyStop
from aloha_nodes.events import NO_PUBLISHER_EVENTS
from aloha_nodes.qos import REPORTS
from aloha_nodes.realtime import raise_priority
from aloha_nodes.running import run as run_node
from cosmos_policy.arm_links import ArmLinks
from cosmos_policy.executor_diagnostics import status
from cosmos_policy.executor_goals import Goal, begin
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import (
    ActionSpace,
    ChunkExecutor,
    ExecutorSettings,
    JointStates,
    PeriodStatistics,
    Run,
    Samples,
    Termination,
)
from cosmos_policy_msgs.action import ExecuteChunk

ACTION = "/execute_chunk"
STOPPED = f"raised on {TOPIC}"

RESULT_TIME = 0.1  # [s] for the middleware to send the last results; it does not say when it has


class ChunkExecutorNode(ManagedNode):
    """Offer the action /execute_chunk (ExecuteChunk) for all arms of a contract.

    Every goal is accepted, so that its result can say why it ended; a bad one is aborted at once and nothing moves.
    Commands of all arms leave in the same tick. The node is silent until its first chunk, then sends the last command
    again and again between chunks: that feeds the drivers' watchdogs and keeps a gripper's squeeze. It falls silent on
    an emergency stop, on deactivation, and after a fault or a silence of an arm until the next chunk: the drivers hold
    by themselves then, and no old command pulls an arm that comes back. Deactivate it before another node
    (teleoperation) commands the arms.

    Goals are coroutines on futures that the tick completes: no thread waits, and none can delay the tick. The one lock
    guards the core and is held for microseconds.

    Parameters:
        embodiment: name or file of the contract.
        max_observation_age: oldest observation a chunk may answer [s].
        realtime_priority: SCHED_FIFO priority of the ticking thread; 0: none. Regular ticks on a busy machine.
    """

    threads = 1  # hand-overs between threads were half of the tick's jitter

    def __init__(self, **options: Any) -> None:
        super().__init__("chunk_executor", **options)
        self._embodiment: str = self.declare("embodiment", "aloha_sim", "Name or YAML file of the contract.")
        self._max_age: float = self.declare(
            "max_observation_age", 10.0, "Oldest observation a chunk may answer [s].", minimum=0.0
        )
        self._priority: int = self.declare(
            "realtime_priority", 0, "SCHED_FIFO priority of the ticking thread; 0: none.", minimum=0, maximum=99
        )
        self._group = MutuallyExclusiveCallbackGroup()
        self._lock = threading.Lock()
        self._goals: list[Goal] = []
        self._idle = threading.Event()
        self._idle.set()
        self._serving = False
        self._spinner = 0  # identity of the thread that ticks
        self._core: ChunkExecutor | None = None
        self._links: ArmLinks | None = None
        self._ticker: Timer | None = None
        self._reporter: Timer | None = None
        # The stop is heard and remembered in every state of the lifecycle.
        self._stop = EmergencyStop(self, self._on_stop, self._group)
        # So can a goal be refused. (rclpy's executor does not survive the end of an action server it spins.)
        self._server = ActionServer(
            self,
            ExecuteChunk,
            ACTION,
            self._execute,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=self._group,
        )

    # Lifecycle ----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        contract = Embodiment.load(self._embodiment)
        settings = ExecutorSettings.from_contract(contract, self._max_age)
        # Messages arrive as soon as there is a subscription: what their callbacks use comes first.
        self._states = JointStates(ActionSpace.from_contract(contract))
        self._periods, self._state_ages = PeriodStatistics(settings.command_period), Samples()
        with self._lock:
            self._core = ChunkExecutor(settings)
            if self._stop.raised:
                self._core.stop(STOPPED)
        self._links = ArmLinks(self, contract, self._on_fault, self._group)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", REPORTS, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._reporter = self.create_timer(
            1.0, self._report, callback_group=self._group, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def activate(self) -> None:
        self._periods.restart()
        self._state_ages.clear()
        self._serving = True
        self._ticker = self.create_timer(self.core.settings.command_period, self._tick, callback_group=self._group)

    def deactivate(self) -> None:
        self._serving = False
        if self._ticker is not None:
            self.destroy_timer(self._ticker)
            self._ticker = None
        with self._lock:
            hold = self.core.shut_down()
            if hold is not None and self._links is not None:
                self._links.publish(hold, self.get_clock().now())
            self._settle()
        if threading.get_ident() == self._spinner:
            return  # a transition asked for by service: the results leave when it has ended
        if not self._idle.wait(timeout=1.0):
            self.get_logger().warning(f"{ACTION}: a result could not be delivered before the node went inactive.")
        time.sleep(RESULT_TIME)

    def cleanup(self) -> None:
        if self._reporter is not None:
            self.destroy_timer(self._reporter)
            self.destroy_publisher(self._diagnostics)
        with self._lock:
            if self._links is not None:
                self._links.close()
            self._reporter = self._links = None

    def destroy_node(self) -> None:
        """Give back the action server too, which rclpy does not count among a node's belongings."""
        self._server.destroy()
        super().destroy_node()

    @property
    def core(self) -> ChunkExecutor:
        """The executor without ROS; only after configure."""
        assert self._core is not None
        return self._core

    # Goals --------------------------------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> ExecuteChunk.Result:
        """Run a goal from its acceptance to its result."""
        goal = Goal(handle, self._begin(handle.request))
        with self._lock:
            self._goals.append(goal)
            self._idle.clear()
            self._settle()
        try:
            await goal.ended
            return goal.finish()
        finally:
            with self._lock:
                self._goals.remove(goal)
                if not self._goals:
                    self._idle.set()

    def _begin(self, request: ExecuteChunk.Goal) -> Run:
        now = self.get_clock().now().nanoseconds * 1e-9
        with self._lock:
            if not self._serving or self._links is None:
                message = f"{self.get_name()} is not active. Activate it and send the goal again."
                run = Run(request.steps).refuse(Termination.NOT_READY, message)
            elif now == 0.0:  # any chunk would lie in the future
                message = f"{self.get_name()} follows /clock, which says nothing yet. Start the simulation."
                run = Run(request.steps).refuse(Termination.NOT_READY, message)
            else:
                self._links.poll(self._states)
                run = begin(self.core, request, now, self._states)
        if run.outcome is not None:
            self.get_logger().warning(f"{ACTION}: refused, {run.outcome.name}: {run.message}")
        return run

    def _settle(self) -> None:
        """Wake the coroutines of goals whose runs have ended. The caller holds the lock."""
        for goal in self._goals:
            if goal.run.outcome is not None and not goal.ended.done():
                goal.ended.set_result(None)

    # Time ---------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._spinner != threading.get_ident():
            self._enter_ticking_thread()
        clock = self.get_clock()
        stamp = clock.now()
        # Only a steady clock can tell how regular the ticks are; under simulated time the simulated one must.
        measured = None if clock.ros_time_is_active else time.monotonic()
        now = stamp.nanoseconds * 1e-9
        with self._lock:
            if not self._serving or self._links is None:
                return
            self._periods.tick(time.monotonic())
            self._links.poll(self._states)
            for goal in self._goals:
                if goal.handle.is_cancel_requested:
                    self.core.cancel(goal.run)
            if self._states.complete:
                self._state_ages.add(self._states.age(now))
            command = self.core.tick(now, self._states, measured)
            if command is not None:
                self._links.publish(command, stamp)
            for goal in self._goals:
                goal.tell(self.core.tracking_error(self._states))
            self._settle()

    def _enter_ticking_thread(self) -> None:
        self._spinner = threading.get_ident()
        problem = raise_priority(self._priority) if self._priority else ""
        if problem:
            self.get_logger().warning(problem)

    # The arms and the stop ----------------------------------------------------------------------------------------

    def _on_fault(self, arm: str, description: str) -> None:
        with self._lock:
            self.core.set_fault(arm, description)
        if description:
            self.get_logger().error(f"{arm}: {description}. Both arms hold; clear the fault at the arm's driver.")

    def _on_stop(self, raised: bool) -> None:
        with self._lock:
            if self._core is None:  # configure asks for itself
                return
            if raised:
                self._core.stop(STOPPED)
                self._settle()
            else:
                self._core.release()

    def _report(self) -> None:
        now = self.get_clock().now()
        with self._lock:
            if self._links is not None:
                self._links.poll(self._states)
            seconds = now.nanoseconds * 1e-9
            entry = status(self.core, self._states, self._periods, self._state_ages, self._serving, seconds)
        message = DiagnosticArray(status=[entry])
        message.header.stamp = now.to_msg()
        self._diagnostics.publish(message)


def main() -> int:
    """Run the node."""
    return run_node(ChunkExecutorNode, sys.argv)


if __name__ == "__main__":
    sys.exit(main())
