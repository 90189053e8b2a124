"""Who may open the live view: the page has buttons that move a robot.

viser asks nobody for a name. Three things are checked before it sees a request:

* Without a token only this machine can connect, and only under one of its own names: a page of another site that makes
  its name point here (DNS rebinding) is refused.
* A browser says which site a connection comes from. Another site than the live view's own is refused, or any page open
  on the operator's laptop could press the buttons.
* With a token, every request needs it, as `?token=...` once and as a cookie from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from cosmos_policy.errors import ParameterError

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_TOKEN = 16

Handler = Callable[[ServerConnection, Request], Response | None]


def check_reach(host: str, token: str) -> None:
    """Refuse settings under which the network could move the robot.

    Raises:
        ParameterError: says how to allow it, or how to do without.
    """
    if token and len(token) < SHORTEST_TOKEN:
        raise ParameterError(
            f"token: {len(token)} characters can be guessed. Give at least {SHORTEST_TOKEN}, for example of "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe())'`."
        )
    if not token and not is_loopback(host):
        raise ParameterError(
            f"host: {host} can be reached from the network, and the page moves the robot. Give a token too, "
            "or keep 127.0.0.1 and come through `ssh -L 8080:127.0.0.1:8080`."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address; names other than localhost are not trusted to stay."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Lets requests through to a handler, or answers 403."""

    def __init__(self, token: str = "") -> None:
        self._token = token
        self._pass = hashlib.sha256(token.encode()).hexdigest()  # a token may hold what a cookie may not
        self.refused = 0

    def guard(self, handler: Handler) -> Handler:
        """Put the gate before a handler of viser's web server."""

        def guarded(connection: ServerConnection, request: Request) -> Response | None:
            reason = self.problem(request)
            if reason:
                self.refused += 1
                return connection.respond(HTTPStatus.FORBIDDEN, f"live view: {reason}\n")
            if self._token and self._in_query(request):
                return self._remember(connection)
            return handler(connection, request)

        return guarded

    def problem(self, request: Request) -> str:
        """Say why a request is refused; empty for one that may pass."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not self._token and _name(host) not in OWN_NAMES:
            return "without a token it is for this machine only. Open http://127.0.0.1."
        if origin is not None and urlsplit(origin).netloc != host:
            return "another site asked for it."
        if self._token and not (self._in_query(request) or self._in_cookie(request)):
            return "the token is missing or wrong. Open the address with ?token=... at its end."
        return ""

    def _in_query(self, request: Request) -> bool:
        given = parse_qs(urlsplit(request.path).query).get("token", [""])[-1]
        return self._equals(given)

    def _in_cookie(self, request: Request) -> bool:
        for header in request.headers.get_all("Cookie"):
            try:
                jar = SimpleCookie(header)
            except CookieError:
                continue
            if COOKIE in jar and hmac.compare_digest(jar[COOKIE].value, self._pass):
                return True
        return False

    def _equals(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _remember(self, connection: ServerConnection) -> Response:
        """Turn a token in an address into a cookie that scripts cannot read, and clean the address."""
        response = connection.respond(HTTPStatus.SEE_OTHER, "")
        response.headers["Location"] = "/"
        response.headers["Set-Cookie"] = f"{COOKIE}={self._pass}; HttpOnly; SameSite=Strict; Path=/"
        return response


COOKIE = "cosmos_policy_live"


def _name(host: str) -> str:
    """Cut the port off a Host header."""
    return urlsplit(f"//{host}").hostname or ""
