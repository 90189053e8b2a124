"""The serial port under the dynamixel-sdk: waits without burning a core, and gives up after milliseconds.

The SDK's own handler spins while it waits and allows a status packet 34 ms and more, which is three control periods.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from pathlib import Path

import serial
from dynamixel_sdk import PortHandler

from aloha_hardware.errors import PortError

DEFAULT_BAUD = 1_000_000


class QuietPort(PortHandler):
    """A PortHandler whose reads sleep in the kernel.

    Args:
        name: device, e.g. /dev/ttyDXL_follower_left.
        patience: time a status packet may take beyond its time on the wire [s].
    """

    def __init__(self, name: str, patience: float = 0.004) -> None:
        super().__init__(name)
        self.patience = patience
        self._deadline = 0.0

    def connect(self, baud: int = DEFAULT_BAUD) -> None:
        """Open the port for this process alone.

        Raises:
            PortError: it is missing, taken or forbidden; says what to do.
        """
        name = self.port_name
        if not Path(name).exists():
            raise PortError(
                f"{name}: there is no such port. Plug the arm's USB cable in and switch it on, check the udev rules, "
                "or set parameter port."
            )
        self.baudrate, self.tx_time_per_byte = baud, 1e4 / baud  # [ms]
        try:
            self.ser = serial.Serial(port=name, baudrate=baud, timeout=0, exclusive=True)
        except serial.SerialException as error:
            raise PortError(_open_problem(name, error)) from error
        self.is_open, self.is_using = True, False
        self.ser.reset_input_buffer()

    def set_rate(self, baud: int) -> None:
        """Talk at another rate from now on."""
        self.ser.baudrate = self.baudrate = baud
        self.tx_time_per_byte = 1e4 / baud

    def disconnect(self) -> None:
        """Close the port, whatever state it is in."""
        if self.ser is not None:
            with contextlib.suppress(OSError):
                self.ser.close()
        self.is_open = self.is_using = False

    @property
    def latency_ms(self) -> int | None:
        """The latency timer of a USB adapter [ms]; None where the device has none."""
        device = os.path.basename(os.path.realpath(self.port_name))
        try:
            return int(Path(f"/sys/bus/usb-serial/devices/{device}/latency_timer").read_text())
        except (OSError, ValueError):
            return None

    @property
    def serial_number(self) -> str:
        """The serial number of a USB adapter; empty where the device has none."""
        device = os.path.basename(os.path.realpath(self.port_name))
        for above in ("..", "../.."):
            try:
                return Path(f"/sys/class/tty/{device}/device/{above}/serial").read_text().strip()
            except OSError:
                continue
        return ""

    # What the SDK calls --------------------------------------------------------------------------------------------

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Allow a packet its time on the wire and our patience."""
        self._deadline = time.monotonic() + packet_length * self.tx_time_per_byte * 1e-3 + self.patience

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """Allow a time [ms]."""
        self._deadline = time.monotonic() + msec * 1e-3

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the time is over."""
        return time.monotonic() > self._deadline

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Return up to a number of bytes; sleep until the first arrives or the time is over."""
        if length <= 0:
            return b""
        try:
            wait = max(0.0, self._deadline - time.monotonic())
            if not select.select([self.ser.fileno()], [], [], wait)[0]:
                return b""
            data: bytes = self.ser.read(length)
            return data
        except (OSError, ValueError, TypeError) as error:  # a SerialException is an OSError
            raise self._lost(error) from error

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Send a packet."""
        try:
            written: int = self.ser.write(bytes(packet))
            return written
        except (OSError, ValueError, TypeError) as error:
            raise self._lost(error) from error

    def clearPort(self) -> None:  # noqa: N802
        """Forget what arrived and nobody read: late answers of an earlier instruction."""
        try:
            self.ser.reset_input_buffer()
        except Exception as error:  # termios.error is no OSError
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> PortError:
        self.is_using = False
        return PortError(f"{self.port_name}: the port went away ({error}). Plug the USB cable in again.")


def _open_problem(name: str, error: serial.SerialException) -> str:
    if error.errno == errno.EACCES:
        return (
            f"{name}: permission denied. Add yourself to the group of the port (sudo usermod -aG dialout $USER) "
            "and log in again."
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "lock" in str(error):
        return f"{name}: another process uses the port. Stop it (fuser {name} names it); one driver per arm."
    return f"{name}: the port cannot be opened ({error.strerror or error}). Is it a serial port?"
