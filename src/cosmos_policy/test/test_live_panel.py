"""The panel of the live view, without a browser: which buttons are offered, and what is marked as old."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install viser")

from test_live_gate import free_port

from cosmos_policy.live.gate import Gate
from cosmos_policy.live.panel import Panel
from cosmos_policy.live.server import serve
from cosmos_policy.monitor.account import SILENCE, Account


class FakeOperator:
    """Nobody presses buttons here."""

    cell_is_there = False


@pytest.fixture
def panel() -> Iterator[Panel]:
    server = serve("127.0.0.1", free_port(), Gate())
    yield Panel(server, FakeOperator(), ("cam_high",), "")  # type: ignore[arg-type]
    server.stop()


def test_a_silent_camera_is_marked_beside_its_picture_until_it_sends_again(panel: Panel) -> None:
    for seconds, label in (
        (float("inf"), "cam_high: nothing yet"),
        (4.2, "cam_high: nothing for 4 s, the picture is old"),
        (None, "cam_high"),
    ):
        panel.show_silence("cam_high", seconds)
        assert panel._cameras["cam_high"].label == label


def test_start_is_offered_again_when_the_planner_is_gone(panel: Panel) -> None:
    account = Account()
    account.begin_task()
    panel.show_state(account)
    assert panel._start.disabled and not panel._cancel.disabled
    account.lose_task("the planner is gone")
    panel.show_state(account)
    assert not panel._start.disabled and panel._cancel.disabled
    assert "the planner is gone" in panel._status.content


def test_a_stop_of_which_nobody_speaks_is_not_green_and_one_that_was_raised_keeps_start_away(panel: Panel) -> None:
    now = [0.0]
    account = Account(clock=lambda: now[0])
    account.take_stop(False)
    panel.show_state(account)
    assert "#2f9e44" in panel._status.content
    account.take_stop(True)
    now[0] += SILENCE + 1.0
    panel.show_state(account)
    assert "unknown: nobody has spoken for 4 s; RAISED before" in panel._status.content
    assert not {"#2f9e44", "#e03131"} & set(panel._status.content.replace(";", ":").split(":"))
    assert panel._start.disabled and not panel._release.disabled
