"""The chain behind a serial port: a pseudo-terminal that can be opened, unplugged and plugged in again."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import pty
import select
import termios
import threading
import time
import tty
from pathlib import Path

from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.packets import Parser
from aloha_hardware.emulator.trace import Trace
from aloha_hardware.errors import PortError

BITS_PER_BYTE = 10
IDLE = 0.01  # [s] between looks at the clock while nobody talks
_BAUD = {
    getattr(termios, f"B{rate}"): rate
    for rate in (9600, 57600, 115200, 1000000, 2000000, 3000000, 4000000)
    if hasattr(termios, f"B{rate}")
}


class EmulatedLine:
    """Serve a chain on a pseudo-terminal, from a thread of its own.

    Args:
        link: symbolic link to the terminal, which keeps its name over unplug and plug; None: no link.
        wire_time: let every byte take the time it takes at the port's baud rate.
        trace: where to note what the motors do.

    Raises:
        PortError: the link cannot be made.
    """

    def __init__(
        self, chain: Chain, link: str | Path | None = None, wire_time: bool = True, trace: Trace | None = None
    ) -> None:
        self.chain = chain
        self._trace = trace
        self.lock = threading.RLock()
        self._link = Path(link) if link is not None else None
        self._wire_time = wire_time
        self._master = self._slave = -1
        self._ended = threading.Event()
        self._outbox: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._parser = Parser()
        self.terminal = ""
        self.plug()
        self._thread = threading.Thread(target=self._serve, name="dynamixel emulator", daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        """Where to open the port."""
        return str(self._link) if self._link is not None else self.terminal

    def plug(self) -> None:
        """Make the port appear."""
        with self.lock:
            if self._master >= 0:
                return
            self._master, self._slave = pty.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.terminal = os.ttyname(self._slave)
            self._parser, self._outbox = Parser(), []
            if self._link is not None:
                self._make_link(self._link)

    def unplug(self) -> None:
        """Pull the USB cable: the port goes away, the motors keep their power."""
        with self.lock:
            if self._master < 0:
                return
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1
            if self._link is not None:
                self._link.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop serving and take the port away."""
        self._ended.set()
        self._thread.join(timeout=2.0)
        self.unplug()
        if self._trace is not None:
            self._trace.close()

    def __enter__(self) -> EmulatedLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_link(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise PortError(f"{link} is there and is not a link. Choose another --link.")
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(self.terminal)
        except OSError as error:
            raise PortError(f"{link}: cannot be made ({error.strerror}). Choose a --link you may write.") from error

    def _serve(self) -> None:
        while not self._ended.is_set():
            with self.lock:
                self.chain.advance(time.monotonic())
                self._send()
                if self._trace is not None:
                    self._trace.note(self.chain, time.monotonic())
                master = self._master
            if master < 0:
                time.sleep(IDLE)
                continue
            try:
                ready, _, _ = select.select([master], [], [], self._patience())
            except (OSError, ValueError):  # unplugged while we listened
                continue
            if ready:
                with self.lock:
                    self._receive()

    def _patience(self) -> float:
        return max(0.0, min(IDLE, self._outbox[0][0] - time.monotonic())) if self._outbox else IDLE

    def _receive(self) -> None:
        if self._master < 0:
            return
        try:
            data = os.read(self._master, 4096)
        except OSError:
            time.sleep(1e-3)  # nobody has the port open
            return
        now, baud = time.monotonic(), self._baud()
        byte_time = BITS_PER_BYTE / baud if self._wire_time else 0.0
        due = now + len(data) * byte_time
        for packet in self._parser.feed(data):
            for reply in self.chain.handle(packet, now, baud):
                due += reply.delay + len(reply.data) * byte_time
                heapq.heappush(self._outbox, (due, next(self._order), reply.data))

    def _send(self) -> None:
        while self._master >= 0 and self._outbox and self._outbox[0][0] <= time.monotonic():
            with contextlib.suppress(OSError):
                os.write(self._master, heapq.heappop(self._outbox)[2])

    def _baud(self) -> int:
        return _BAUD.get(termios.tcgetattr(self._master)[4], 0) or 1
