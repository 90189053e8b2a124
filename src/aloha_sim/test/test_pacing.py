"""Simulated against real time, on a hand-driven clock."""

from __future__ import annotations

import pytest

from aloha_sim.pacing import MAX_DEBT, Meter, Pacer


class Wall:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("factor", "wall_seconds"), [(1.0, 1.0), (2.0, 0.5), (0.0, 0.0)])
def test_a_hundred_ticks_last_what_the_factor_says(factor: float, wall_seconds: float) -> None:
    wall = Wall()
    pacer = Pacer(factor, clock=wall, sleep=wall.sleep)
    for _ in range(100):
        pacer.wait(0.01)
    assert wall.now == pytest.approx(wall_seconds)


def test_a_short_hiccup_is_caught_up_and_a_long_one_given_up() -> None:
    wall = Wall()
    pacer = Pacer(1.0, clock=wall, sleep=wall.sleep)
    wall.now += MAX_DEBT / 2
    for _ in range(100):
        pacer.wait(0.01)
    assert wall.now == pytest.approx(1.0)
    assert pacer.given_up == 0.0
    wall.now += 1.0
    for _ in range(10):
        pacer.wait(0.01)
    assert wall.now == pytest.approx(2.09, abs=1e-6)
    assert pacer.given_up == pytest.approx(0.99)


def test_the_meter_reads_rates_per_simulated_second() -> None:
    wall = Wall()
    meter = Meter(wall)
    for _ in range(50):
        meter.count("image")
    wall.now = 1.0
    assert meter.read(2.0) == (pytest.approx(2.0), {"image": pytest.approx(25.0)})
    wall.now = 2.0
    assert meter.read(3.0) == (pytest.approx(1.0), {})
