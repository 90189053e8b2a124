"""The gripper's linkage and the two ways its opening is normalised."""

from __future__ import annotations

import pytest

from aloha_sim.gripper import Gripper

GRIPPER = Gripper()


@pytest.mark.parametrize(("action", "state"), [(0.0, 0.00), (0.25, 0.20), (0.5, 0.53), (0.75, 0.84), (1.0, 1.00)])
def test_state_and_action_of_the_same_opening_differ_as_published(action: float, state: float) -> None:
    finger = GRIPPER.linkage.finger_from_motor(GRIPPER.motor_from_action(action))
    assert GRIPPER.state_from_finger(finger) == pytest.approx(state, abs=0.005)


@pytest.mark.parametrize("angle", [-0.6213, -0.2, 0.4, 1.1, 1.49])
def test_the_linkage_turns_back_into_the_angle_it_came_from(angle: float) -> None:
    assert GRIPPER.linkage.motor_from_finger(GRIPPER.linkage.finger_from_motor(angle)) == pytest.approx(angle)


def test_a_finger_out_of_reach_reads_as_the_end_of_the_linkage() -> None:
    assert GRIPPER.linkage.motor_from_finger(0.2) == pytest.approx(1.5708, abs=1e-3)
    assert GRIPPER.linkage.motor_from_finger(0.0) == pytest.approx(-1.5708, abs=1e-3)


def test_the_slope_is_the_derivative_of_the_finger_position() -> None:
    linkage, step = GRIPPER.linkage, 1e-6
    numeric = (linkage.finger_from_motor(0.3 + step) - linkage.finger_from_motor(0.3 - step)) / (2 * step)
    assert linkage.slope(0.3) == pytest.approx(numeric, rel=1e-5)
