"""What a running graph says about its own timing, and how old images are when an observation is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.time import Time
from std_srvs.srv import Trigger

from aloha_nodes.qos import REPORTS
from cosmos_policy.action_client import ActionClient
from cosmos_policy.errors import BenchError, ObservationUnavailable
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import Samples
from cosmos_policy_msgs.action import RunTask

EXECUTOR = "chunk_executor: commands"
PATIENCE = 120.0  # [s] for models to load on a busy machine
LOOK_EVERY = 0.25  # [s]


class Probe(Node):
    """Listen to diagnostics, take observations as the planner does, and keep the planner busy."""

    def __init__(self, contract: Embodiment, instruction: str) -> None:
        super().__init__("bench_control")
        self.contract, self._instruction = contract, instruction
        self.newest: dict[str, dict[str, str]] = {}
        self.image_ages, self.observing = Samples(), Samples()
        self.chunks, self.trouble = 0, ""
        self._buffer = ObservationBuffer(contract)
        self._buffer.subscribe(self)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._hear, REPORTS)
        self._task = ActionClient(self, RunTask, "/run_task")
        self._ending = threading.Event()

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.newest[status.name] = {pair.key: pair.value for pair in status.values}

    def executor_says(self) -> dict[str, str]:
        """Return what the executor said last."""
        return self.newest.get(EXECUTOR, {})

    def driver_says(self, arm: str) -> dict[str, str]:
        """Return what an arm's driver said last about its bus."""
        found = (values for name, values in self.newest.items() if arm in name and "period_error_p50_ms" in values)
        return next(found, {})

    def wait_for(self, condition: Callable[[], object], what: str, check: Callable[[], None]) -> None:
        """Wait for something of the graph.

        Raises:
            BenchError: it did not come, or a node ended meanwhile.
        """
        end = time.monotonic() + PATIENCE
        while not condition():
            check()
            if time.monotonic() > end:
                raise BenchError(
                    f"{what}: not there within {PATIENCE:.0f} s. {self.trouble or 'Is the machine too busy?'}"
                )
            time.sleep(0.1)

    def go_to_start(self, check: Callable[[], None]) -> None:
        """Bring the arms to their start pose."""
        for arm in self.contract.arms:
            client = self.create_client(Trigger, f"/{arm.name}/arm_driver/go_to_start")
            self.wait_for(client.service_is_ready, client.srv_name, check)
            for _ in range(5):  # a service's first answer may be lost
                future = client.call_async(Trigger.Request())
                end = time.monotonic() + 20.0
                while not future.done() and time.monotonic() < end:
                    time.sleep(0.1)
                if future.done() and future.result().success:
                    break
            else:
                raise BenchError(f"{client.srv_name}: the arm did not go to its start pose.")

    def keep_busy(self) -> None:
        """Send one task after the other until `stop`: the planner plans, the executor moves."""

        def work() -> None:
            while not self._ending.is_set():
                goal = RunTask.Goal(instruction=self._instruction, max_chunks=1000)
                handle = self._wait(self._task.send_goal_async(goal), 10.0)
                result = self._wait(handle.get_result_async(), 1e9) if handle is not None and handle.accepted else None
                if result is not None:
                    self.chunks += result.result.chunks_executed
                    self.trouble = str(result.result.message)
                self._ending.wait(0.2)

        threading.Thread(target=work, name="tasks", daemon=True).start()

    def task_is_served(self) -> bool:
        """Whether the planner takes tasks."""
        return self._task.server_answers()

    def stop(self) -> None:
        """Send no more tasks."""
        self._ending.set()

    def look(self, seconds: float, check: Callable[[], None]) -> None:
        """Take observations for a while, as the planner does, and note the age of their oldest image."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check()
            began, now = time.monotonic(), self.get_clock().now()
            try:
                taken = self._buffer.take(self._instruction, now)
            except ObservationUnavailable as missing:
                self.trouble = str(missing)
            else:
                self.observing.add(time.monotonic() - began)
                stamps = [Time.from_msg(image.header.stamp, clock_type=now.clock_type) for image in taken.images]
                self.image_ages.add(max((now - stamp).nanoseconds for stamp in stamps) * 1e-9)
            time.sleep(LOOK_EVERY)

    def _wait(self, future: Any, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while not future.done() and time.monotonic() < end and not self._ending.is_set():
            time.sleep(0.05)
        return future.result() if future.done() else None
