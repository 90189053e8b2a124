"""Paths and words as markers for rviz and Foxglove."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from cosmos_policy.monitor.account import Account
from cosmos_policy.monitor.colours import Colour, ranked_colours
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy.monitor.words import status_lines, text
from cosmos_policy_core.evaluation.report.plans import PlanRecord

THIN, THICK, BALL, LETTER = 0.002, 0.008, 0.02, 0.035  # [m]
FAINT = 0.65
RED, GREEN, GREY, WHITE = (0.9, 0.1, 0.1), (0.2, 0.75, 0.3), (0.6, 0.6, 0.6), (0.95, 0.95, 0.95)
STATUS_AT, STOP_AT = (-0.55, 1.0, 0.75), (-0.75, 1.0, 0.75)  # [m], beyond the table as the operator sees it


def candidate_markers(plan: PlanRecord, paths: GripperPaths, frame: str) -> MarkerArray:
    """Draw the paths of both grippers in every candidate, one namespace per arm."""
    markers = [_clear(frame)]
    colours = ranked_colours(plan.values)
    for arm, points in paths.of_actions(plan.candidates).items():
        markers += [
            _line(frame, arm, k, points[k], colours[k], THIN, FAINT) for k in range(len(points)) if len(points[k]) > 1
        ]
    return MarkerArray(markers=markers)


def plan_markers(plan: PlanRecord, paths: GripperPaths, frame: str, executed: int) -> MarkerArray:
    """Draw the chosen path: thick where it will be executed, with a ball where it leaves the gripper."""
    markers = [_clear(frame)]
    colour = ranked_colours(plan.values)[plan.chosen]
    for arm, points in paths.of_actions(plan.actions).items():
        markers.append(_line(frame, arm, 0, points[:executed], colour, THICK, 1.0))
        if executed < len(points):
            markers.append(_line(frame, arm, 1, points[executed - 1 :], colour, THIN, 1.0))
        end = _marker(frame, arm, 2, Marker.SPHERE, colour, 1.0)
        end.pose.position = _point(points[min(executed, len(points)) - 1])
        end.scale.x = end.scale.y = end.scale.z = BALL
        markers.append(end)
    return MarkerArray(markers=markers)


def status_markers(account: Account, frame: str) -> MarkerArray:
    """Write the state behind the table, beside a ball that is red while the emergency stop is raised."""
    words = _marker(frame, "status", 0, Marker.TEXT_VIEW_FACING, WHITE, 1.0)
    words.pose.position = _point(STATUS_AT)
    words.scale.z = LETTER
    words.text = text(status_lines(account))
    colour = GREY if account.stop is None else RED if account.stop else GREEN
    ball = _marker(frame, "emergency_stop", 0, Marker.SPHERE, colour, 1.0)
    ball.pose.position = _point(STOP_AT)
    ball.scale.x = ball.scale.y = ball.scale.z = 0.15 if account.stopped else 0.06
    return MarkerArray(markers=[words, ball])


def _marker(frame: str, namespace: str, number: int, kind: int, colour: Colour, alpha: float) -> Marker:
    """Make a marker; its stamp stays 0, which asks for the newest transform."""
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.header.frame_id = frame
    marker.pose.orientation.w = 1.0
    red, green, blue = colour
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    return marker


def _clear(frame: str) -> Marker:
    """Take away what an earlier plan with more candidates left behind."""
    marker = Marker(action=Marker.DELETEALL)
    marker.header.frame_id = frame
    return marker


def _line(
    frame: str, arm: str, number: int, points: NDArray[np.float64], colour: Colour, width: float, alpha: float
) -> Marker:
    marker = _marker(frame, arm, number, Marker.LINE_STRIP, colour, alpha)
    marker.scale.x = width
    marker.points = [_point(point) for point in points]
    return marker


def _point(position: Sequence[float] | NDArray[np.float64]) -> Point:
    x, y, z = (float(number) for number in position)
    return Point(x=x, y=y, z=z)
