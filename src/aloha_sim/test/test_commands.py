"""Commands to one arm: newest wins, nonsense is refused, old ones hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aloha_sim.commands import CommandInbox
from aloha_sim.settings import VENDOR_JOINTS

TIMEOUT = 0.08


@pytest.fixture
def inbox() -> CommandInbox:
    inbox = CommandInbox(VENDOR_JOINTS, TIMEOUT)
    inbox.restart(np.arange(7.0))
    return inbox


def test_the_newest_command_wins_in_any_order_of_joints(inbox: CommandInbox) -> None:
    assert inbox.receive(["waist"], [0.5], stamp=None, now=1.0) == ""
    assert inbox.receive(VENDOR_JOINTS[::-1], np.arange(7.0) / 10, stamp=1.0, now=1.01) == ""
    assert inbox.take(1.02) == pytest.approx(np.arange(7.0)[::-1] / 10)
    assert inbox.take(1.03) is None, "a command is applied once"


def test_joints_that_are_not_named_keep_their_target(inbox: CommandInbox) -> None:
    inbox.receive(["gripper"], [1.0], stamp=None, now=0.0)
    assert inbox.take(0.0) == pytest.approx([0, 1, 2, 3, 4, 5, 1])


def test_a_late_command_leaves_the_arm_where_it_is(inbox: CommandInbox) -> None:
    inbox.receive(["waist"], [0.5], stamp=None, now=1.0)
    assert inbox.take(1.0 + TIMEOUT + 0.01) is None


def test_an_arm_without_young_commands_holds(inbox: CommandInbox) -> None:
    assert inbox.holding(0.0)
    inbox.receive(["waist"], [0.5], stamp=None, now=1.0)
    assert not inbox.holding(1.05)
    assert inbox.holding(1.09)


@pytest.mark.parametrize(
    ("names", "positions", "stamp", "reason"),
    [
        (["waist"], [math.nan], None, "not finite"),
        (["waist"], [math.inf], None, "not finite"),
        (["wheel"], [0.0], None, "unknown joints"),
        (["waist", "waist"], [0.0, 1.0], None, "named twice"),
        (["waist"], [0.0, 1.0], None, "1 names but 2 positions"),
        ([], [], None, "0 names"),
        (["waist"], [0.0], 1.0, "command_timeout"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused_and_the_last_one_stays(
    inbox: CommandInbox, names: list[str], positions: list[float], stamp: float | None, reason: str
) -> None:
    inbox.receive(["waist"], [0.25], stamp=None, now=2.0)
    assert reason in inbox.receive(names, positions, stamp=stamp, now=2.0)
    taken = inbox.take(2.0)
    assert taken is not None and taken[0] == 0.25
