"""Nobody on the network can move the robot: who gets the live view, and who does not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import quote

import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install viser")

import viser
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from cosmos_policy.errors import NodeError, ParameterError
from cosmos_policy.graph import BRINGUP
from cosmos_policy.live.gate import COOKIE, Gate, check_reach
from cosmos_policy.live.server import Server, serve

TOKEN = "a secret; of many\r\nletters"
SECRET = quote(TOKEN)
PROTOCOL = [Subprotocol(f"viser-v{viser.__version__}")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def open_port() -> Iterator[int]:
    """A page without a token."""
    server = serve("127.0.0.1", free_port(), Gate())
    yield server.get_port()
    server.stop()


@pytest.fixture(scope="module")
def locked_port() -> Iterator[int]:
    """A page with a token, reachable under any name."""
    server = serve("127.0.0.1", free_port(), Gate(TOKEN))
    yield server.get_port()
    server.stop()


def get(port: int, path: str = "/", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    return response


def test_it_listens_on_this_machine_only_by_default() -> None:
    code = (
        "from cosmos_policy.live_view_node import LiveViewNode as N; import rclpy; rclpy.init();"
        "n = N(); print(n._host); check = __import__('cosmos_policy.live.gate', fromlist=['x']).is_loopback;"
        "print(check(n._host))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert output.split() == ["127.0.0.1", "True"]


def test_a_server_on_loopback_is_bound_to_no_other_address(open_port: int) -> None:
    listening = subprocess.run(["ss", "-Hltn", f"sport = :{open_port}"], capture_output=True, text=True)
    if listening.returncode != 0:
        pytest.skip("ss is not installed: apt-get install iproute2")
    addresses = [line.split()[3] for line in listening.stdout.splitlines()]
    assert addresses == [f"127.0.0.1:{open_port}"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "robot.local"])
def test_an_address_the_network_reaches_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(ParameterError, match=r"can be reached from the network.*Give a token"):
        check_reach(host, "")
    check_reach(host, TOKEN)


def test_a_bring_up_serves_it_only_on_request_and_only_to_this_machine() -> None:
    assert "live_view" not in {node.name for node in BRINGUP.nodes({})}
    (view,) = (node for node in BRINGUP.nodes({"live": "true"}) if node.name == "live_view")
    assert (view.parameters["host"], view.parameters["token"]) == ("127.0.0.1", "")
    assert not view.ends_graph


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_no_token(host: str) -> None:
    check_reach(host, "")


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ParameterError, match="can be guessed"):
        check_reach("127.0.0.1", "1234")


def test_this_machine_gets_the_page(open_port: int) -> None:
    assert get(open_port).status == 200
    with connect(f"ws://127.0.0.1:{open_port}", origin=Origin(f"http://127.0.0.1:{open_port}"), subprotocols=PROTOCOL):
        pass


def test_a_page_of_another_site_cannot_connect_from_the_operators_browser(open_port: int) -> None:
    for origin in ("http://evil.example", f"http://127.0.0.1:{open_port + 1}", "null"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://127.0.0.1:{open_port}", origin=Origin(origin), subprotocols=PROTOCOL)


def test_a_foreign_name_that_points_here_is_refused(open_port: int) -> None:
    assert get(open_port, Host="evil.example").status == 403
    assert get(open_port, Host=f"localhost:{open_port}").status == 200


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/index.html"])
def test_without_the_token_there_is_no_page_and_no_connection(locked_port: int, path: str) -> None:
    assert get(locked_port, path).status == 403
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{locked_port}{path}", subprotocols=PROTOCOL)


def test_the_token_becomes_a_cookie_that_opens_page_and_connection(locked_port: int) -> None:
    answer = get(locked_port, f"/?token={SECRET}")
    assert (answer.status, answer.getheader("Location")) == (303, "/")
    cookie = answer.getheader("Set-Cookie") or ""
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    pair = cookie.split(";")[0]
    assert get(locked_port, Cookie=pair, Host="robot.local").status == 200
    with connect(f"ws://127.0.0.1:{locked_port}", additional_headers={"Cookie": pair}, subprotocols=PROTOCOL):
        pass


def test_a_wrong_cookie_opens_nothing(locked_port: int) -> None:
    assert get(locked_port, Cookie=f"{COOKIE}=guess").status == 403


def test_a_port_that_is_taken_is_named_instead_of_another_one_used() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(NodeError, match=f"127.0.0.1:{port}"):
            serve("127.0.0.1", port, Gate())


def test_no_client_can_open_a_tunnel_to_the_internet() -> None:
    assert Server.request_share_url(object.__new__(Server)) is None
