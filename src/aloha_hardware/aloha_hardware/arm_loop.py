"""The thread that owns an arm's bus while the arm is active: read, publish, command, look after the motors."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aloha_hardware.arm import Arm
from aloha_hardware.arm_reading import Reading
from aloha_hardware.errors import BusError, HardwareError, MotorError, PortError
from aloha_hardware.setpoints import Setpoints
from aloha_hardware.vendor_arm import VendorArm
from aloha_nodes.realtime import lower_priority, raise_priority

EXAMINE_EVERY = 10  # cycles
HEALTH_EVERY = 100
RECONNECT_EVERY = 0.5  # [s]
LATE_CYCLES = 100  # in a row that never rested
SILENT_EXAMINATIONS = 3  # in a row until a shadow counts as gone
BUS, MOTORS, TORQUE = "bus", "motors", "torque"
OWN_STOPS = (BUS, MOTORS, TORQUE)
"""Stops that are this arm's own fault, which it tells others."""


class Listener(Protocol):
    """Who hears what happens in the loop, in the loop's thread."""

    def on_cycle(self, elapsed: float) -> None:
        """A cycle begins, whatever the bus says; [s] since the last one began."""

    def on_reading(self, reading: Reading) -> None:
        """A complete reading was made."""

    def on_change(self) -> None:
        """A stop was raised or lifted."""


@dataclass
class Timing:
    """How regular the loop is: the newest thousand cycles [s]."""

    errors: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    work: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    overruns: int = 0
    incomplete: int = 0
    watchdog_stops: int = 0

    def summary(self) -> dict[str, float]:
        """Return median, 99th percentile and maximum of period error and work per cycle [ms]."""
        found = {}
        for name, values in (("period_error", self.errors), ("cycle", self.work)):
            ordered = sorted(values.copy()) or [0.0]  # the loop goes on appending
            for label, quantile in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                found[f"{name}_{label}_ms"] = 1e3 * ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
        return found


@dataclass
class Request:
    """Something the bus thread must do for another thread."""

    action: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    error: HardwareError | None = None


class ArmLoop:
    """Run an arm until stopped.

    Args:
        arm: open, with torque where it should have it.
        lock: guards the setpoints, which callbacks touch too; held for microseconds.
    """

    def __init__(self, arm: Arm | VendorArm, setpoints: Setpoints, lock: threading.Lock, listener: Listener) -> None:
        self.arm, self.setpoints, self.lock = arm, setpoints, lock
        self.timing = Timing()
        self.stale = False
        self.defect = ""
        self._listener = listener
        self._period = 1.0 / arm.settings.rate
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._heard_at = time.monotonic()
        self._retry_at = 0.0
        self._cycles = 0
        self._kept_away = False  # from the bus, for so long that the motors may have stopped by themselves
        self._late = 0  # cycles in a row without a rest
        self._missed: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"{arm.settings.arm} bus", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the cycle that runs."""
        self._ended.set()
        self._thread.join(timeout=5.0)

    def ask(self, action: Callable[[], Any], timeout: float = 10.0) -> None:
        """Have the bus thread do something between two cycles, and wait for it.

        Raises:
            HardwareError: what the action raised, or that the loop did not come to it.
        """
        request = Request(action)
        self._requests.put(request)
        if not request.done.wait(timeout):
            raise HardwareError(f"{self.arm.settings.arm}: the bus loop does not run. Restart the driver.")
        if request.error is not None:
            raise request.error

    # The loop ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        problem = raise_priority(self.arm.settings.realtime_priority) if self.arm.settings.realtime_priority else ""
        if problem:
            self.arm.warn(problem)
        due = last = time.monotonic()
        while not self._ended.is_set():
            began = time.monotonic()
            self.timing.errors.append(abs(began - last - self._period) if began > last else 0.0)
            self._kept_away |= 0.0 < self.arm.settings.watchdog / 2 < began - last
            elapsed, last = began - last, began
            try:
                self._listener.on_cycle(elapsed)
                self._serve_requests()
                self._cycle(time.monotonic())
            except PortError as error:
                self._lose_port(str(error))
            except HardwareError as error:
                self._raise(MOTORS, str(error))
            except Exception:
                self.defect = traceback.format_exc()
                self._raise(BUS, "the driver's loop failed; restart the driver")
                return
            self.timing.work.append(time.monotonic() - began)
            due += self._period
            late = time.monotonic() > due
            self._late = self._late + 1 if late else 0
            if late:
                self.timing.overruns += 1
                due = time.monotonic()
                self._stay_polite()
            self._ended.wait(max(0.0, due - time.monotonic()))

    def _stay_polite(self) -> None:
        """Give real-time priority up when no cycle ends in time: a thread that never rests would stop the machine."""
        if self.arm.settings.realtime_priority and self._late == LATE_CYCLES:
            lower_priority()
            self.arm.warn(
                f"{self.arm.settings.arm}: no cycle ended in time for {LATE_CYCLES} cycles; the bus thread goes on "
                "without real-time priority, so that the machine stays usable. Check the bus, or lower the rate."
            )

    def _cycle(self, now: float) -> None:
        if not self.arm.port.is_open:
            self._try_reconnect(now)
            return
        reading = self.arm.read()
        if reading is None:
            self.timing.incomplete += 1
            self._miss(now)
        else:
            self._hear(reading)
        with self.lock:
            setpoint = self.setpoints.tick(now, self._period)
            commanded = self.arm.settings.torque and TORQUE not in self.setpoints.stops
        if commanded:
            self.arm.write(setpoint)
        self._look_after()

    def _hear(self, reading: Reading) -> None:
        self._heard_at = reading.stamp
        with self.lock:
            self.setpoints.measured[:] = reading.position
            silent = BUS in self.setpoints.stops
        if silent and not self._missed and reading.stamp >= self._retry_at:
            self._return(reading)
        self._listener.on_reading(reading)

    def _return(self, reading: Reading) -> None:
        """Take the arm back after a silence, where it is now."""
        self._retry_at = reading.stamp + RECONNECT_EVERY
        try:
            self.arm.resume()
        except BusError:
            return
        except MotorError as error:
            self._raise(MOTORS, str(error))
            return
        with self.lock:
            self.setpoints.hold(reading.position)
        self._lift(BUS)

    def _miss(self, now: float) -> None:
        if now - self._heard_at <= self.arm.settings.bus_timeout:
            return
        self._raise(BUS, f"bus silent: {self.arm.describe_silence()}; the arm holds")

    def _lose_port(self, text: str) -> None:
        self.arm.port.disconnect()
        self._raise(BUS, text)

    def _try_reconnect(self, now: float) -> None:
        if now < self._retry_at:
            return
        self._retry_at = now + RECONNECT_EVERY
        try:
            self.arm.reconnect()
        except HardwareError as error:
            self.arm.port.disconnect()
            self._raise(BUS, str(error))
            return
        reading = self.arm.read()
        if reading is not None:
            with self.lock:
                self.setpoints.measured[:] = reading.position
                self.setpoints.hold(reading.position)
            self._heard_at = reading.stamp
            self._lift(BUS)

    def _wake(self) -> None:
        """Take motors back that their own watchdog stopped: they would follow no goal any more, and not say so."""
        try:
            if self.arm.stopped_by_watchdog():
                self.timing.watchdog_stops += 1
                self.arm.resume()
                with self.lock:
                    self.setpoints.hold(self.setpoints.measured)
        except BusError:
            return  # next time
        except MotorError as error:
            self._raise(MOTORS, str(error))
        self._kept_away = False

    def _look_after(self) -> None:
        self._cycles += 1
        if self.arm.settings.torque and (self._kept_away or self._cycles % HEALTH_EVERY == 0):
            self._wake()
        if self.arm.bus.alerts or self._cycles % EXAMINE_EVERY == 0:
            errors, silent = self.arm.examine()
            self._missed = {ident: self._missed.get(ident, 0) + 1 for ident in silent}
            gone = [ident for ident, count in self._missed.items() if count >= SILENT_EXAMINATIONS]
            if gone:
                names = ", ".join(self.arm.name(ident) for ident in gone)
                self._raise(BUS, f"bus silent: {names} silent. Check its cable; the arm holds")
            if errors:
                text = self.arm.describe_errors(errors)
                self._raise(MOTORS, f"{text} Remove the cause, support the arm, call ~/reboot_motors")
        if self._cycles % HEALTH_EVERY == EXAMINE_EVERY // 2:
            self.arm.measure_health()

    # Stops ---------------------------------------------------------------------------------------------------------

    def _raise(self, name: str, text: str) -> None:
        with self.lock:
            known = self.setpoints.stops.get(name) == text
            self.setpoints.stop(name, text)
        self.stale = self.stale or name == BUS
        if not known:
            self._listener.on_change()

    def _lift(self, name: str) -> None:
        with self.lock:
            self.setpoints.lift(name)
        self.stale = self.stale and name != BUS
        self._listener.on_change()

    def _serve_requests(self) -> None:
        while not self._requests.empty():
            request = self._requests.get()
            try:
                request.action()
            except HardwareError as error:
                request.error = error
            finally:
                self._heard_at = time.monotonic()
                request.done.set()

    # What services ask for; run these through `ask` -----------------------------------------------------------------

    def reboot(self) -> None:
        """Restart the motors that reported an error or lost their torque, and hold again."""
        errors, _ = self.arm.examine()
        limp = [ident for ident, on in self.arm.torque().items() if not on] if self.arm.settings.torque else []
        self.arm.reboot(sorted({*errors, *limp}))
        self._hold_again()
        for name in OWN_STOPS:
            self._lift(name)

    def torque_on(self) -> None:
        """Hold the arm where it is."""
        self.arm.torque_on()
        self._hold_again()
        self._lift(TORQUE)

    def torque_off(self) -> None:
        """Let the arm go; nothing is commanded until torque is back."""
        self._raise(TORQUE, "torque is off; call ~/set_torque with data: true")
        self.arm.torque_off()

    def _hold_again(self) -> None:
        reading = self.arm.read() or self.arm.read()
        if reading is None:
            names = ", ".join(self.arm.name(motor.id) for motor in self.arm.silent)
            raise HardwareError(f"{self.arm.settings.device}: {names} silent. Check the cable.")
        with self.lock:
            self.setpoints.measured[:] = reading.position
            self.setpoints.hold(reading.position)
