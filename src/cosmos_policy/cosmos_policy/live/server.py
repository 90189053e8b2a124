"""viser's server behind our gate."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import viser
import websockets.asyncio.server

from cosmos_policy.errors import NodeError
from cosmos_policy.live.gate import Gate

_starting = threading.Lock()


class Server(viser.ViserServer):
    """A viser server that never opens a tunnel to the internet, whatever a client asks for."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuse: viser would hand out an address under which everybody reaches the robot."""
        return None


def serve(host: str, port: int, gate: Gate) -> Server:
    """Serve an empty page.

    Raises:
        NodeError: the address cannot be listened on, or viser no longer lets itself be guarded.
    """
    check_free(host, port)
    with _starting, _guarded(gate) as guarded:
        server = Server(host, port, label="cosmos_policy", verbose=False)
    if not guarded:
        server.stop()
        raise NodeError("live view: this release of viser cannot be guarded. Install the one of requirements/base.txt.")
    return server


def check_free(host: str, port: int) -> None:
    """Try the address first: viser silently takes another port, or waits for ever on a host that is not ours.

    Raises:
        NodeError: it cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NodeError(
                f"live view: cannot listen on {host}:{port} ({error.strerror}). Choose another port or host."
            ) from None


@contextmanager
def _guarded(gate: Gate) -> Iterator[list[bool]]:
    """Put the gate before the handler that viser gives to its web server.

    viser has no place for such a check; the function it starts the web server with has one.
    """
    original = websockets.asyncio.server.serve
    guarded: list[bool] = []

    def serve_guarded(*arguments: Any, process_request: Any = None, **options: Any) -> Any:
        if process_request is not None:
            process_request = gate.guard(process_request)
            guarded.append(True)
        return original(*arguments, process_request=process_request, **options)

    websockets.asyncio.server.serve = serve_guarded  # type: ignore[assignment, misc]
    try:
        yield guarded
    finally:
        websockets.asyncio.server.serve = original  # type: ignore[misc]
