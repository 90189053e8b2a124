"""Faults of cameras and policy while a task runs: the arms rest at the seam, and the task ends with the reason."""

from __future__ import annotations

import threading
import time

import numpy as np
from sensor_msgs.msg import Image

from aloha_nodes.qos import SENSOR_DATA
from cosmos_policy.errors import NoAnswer
from cosmos_policy.faults.case import Case, Verb
from cosmos_policy.faults.outcome import Outcome
from cosmos_policy.faults.processes import Part
from cosmos_policy.faults.rig import POLICY, Rig
from cosmos_policy.messages import image_message

CAMERA = "cam_high"
INSTRUCTION = "transfer the cube to the left arm"
CHUNKS = 20  # more than a task gets to run
LATENESS = 0.5  # [s]
MIDDLE = 10


def run(case: Case, rig: Rig) -> Outcome:
    """Begin a task, break, wait for its end, mend, and see whether the next task executes a chunk."""
    operator = rig.operator
    running = operator.task(INSTRUCTION, CHUNKS)
    running.wait_for_step(MIDDLE)
    since = time.monotonic()
    case.break_it(rig)
    reason, message = running.result(60.0)
    ended = time.monotonic()
    time.sleep(1.0)
    stops = rig.stops(ended, time.monotonic(), 0.0)
    late = sum(stop.late for stop in stops.values())
    told = [message, *operator.complaints(since)]
    problem = "" if reason in case.reasons else f"the task ended as {reason} ({message})"
    missing = [word for word in case.words if not any(word in text for text in told)]
    if missing:
        problem = problem or f"the user was not told '{missing[0]}'"
    recovered, trouble = _mend(case, rig)
    return Outcome(
        case.fault,
        case.expected,
        reason,
        told,
        case.recovery,
        recovered,
        max(stop.told for stop in stops.values()),
        max(stop.rested for stop in stops.values()),
        late,
        problem or trouble,
    )


def _mend(case: Case, rig: Rig) -> tuple[bool, str]:
    try:
        case.mend_it(rig)
        rig.moves()
        reason, message = rig.operator.task(INSTRUCTION, 1).result(60.0)
    except NoAnswer as error:
        return False, str(error)
    done = reason == "BUDGET_SPENT"  # one chunk, executed
    return done, "" if done else f"the next task ended as {reason} ({message})"


class LateCamera:
    """Publishes pictures that were taken half a second ago."""

    def __init__(self, rig: Rig) -> None:
        camera = next(camera for camera in rig.contract.cameras if camera.name == CAMERA)
        self._node = rig.operator.node
        self._publisher = self._node.create_publisher(Image, camera.topic, SENSOR_DATA)
        self._picture = image_message(np.zeros((camera.height, camera.width, 3), np.uint8), f"{CAMERA}_optical_frame")
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="late camera", daemon=True).start()

    def _run(self) -> None:
        while not self._ended.wait(1 / 30):
            late = self._node.get_clock().now().nanoseconds - round(1e9 * LATENESS)
            self._picture.header.stamp.sec, self._picture.header.stamp.nanosec = divmod(late, 1_000_000_000)
            self._publisher.publish(self._picture)

    def close(self) -> None:
        """Stop."""
        self._ended.set()


_late: list[LateCamera] = []


def camera_becomes_late(rig: Rig) -> None:
    """Replace a camera by one whose pictures are old."""
    rig.parts[CAMERA].kill()
    _late.append(LateCamera(rig))


def camera_is_punctual_again(rig: Rig) -> None:
    """Undo that."""
    _late.pop().close()
    rig.parts[CAMERA].start_again()


def policy_says(mood: str) -> Verb:
    """Change how the policy answers."""
    return lambda rig: rig.parts[POLICY].say(mood)


def restarts(label: str) -> Verb:
    """Start a process again and give it time to come up."""

    def act(rig: Rig) -> None:
        part: Part = rig.parts[label]
        if part.process.poll() is None:
            part.kill()
        part.start_again()
        if label == POLICY:
            rig.operator.wait_for_policy()

    return act


def freezes(rig: Rig) -> None:
    """Let a camera show the same picture again and again."""
    for path in sorted((rig.folder / CAMERA).iterdir()):
        path.write_bytes((rig.folder / "frozen.png").read_bytes())


def thaws(rig: Rig) -> None:
    """Undo that."""
    rig.write_pictures(CAMERA)


TASK_CASES = (
    Case(
        "camera_frozen",
        "a camera shows the same picture again and again",
        "end the chunk, rest, do not plan on it",
        "restart or replug the camera, send the task again",
        freezes,
        thaws,
        ("NO_OBSERVATION",),
        (CAMERA, "frozen"),
    ),
    Case(
        "camera_late",
        f"a camera's pictures come {LATENESS:g} s late",
        "end the chunk, rest, do not plan on them",
        "give the camera a USB port of its own, send the task again",
        camera_becomes_late,
        camera_is_punctual_again,
        ("NO_OBSERVATION",),
        (f"/{CAMERA}/image_raw",),
    ),
    Case(
        "camera_gone",
        "a camera's process is killed",
        "end the chunk, rest, do not plan without it",
        "start it again, send the task again",
        lambda rig: rig.parts[CAMERA].kill(),
        lambda rig: rig.parts[CAMERA].start_again(),
        ("NO_OBSERVATION",),
        (f"/{CAMERA}/image_raw",),
    ),
    Case(
        "policy_killed",
        "the policy is killed",
        "end the chunk, rest",
        "start it again, send the task again",
        lambda rig: rig.parts[POLICY].kill(),
        restarts(POLICY),
        ("POLICY_FAILED",),
        ("/policy/propose_chunks",),
    ),
    Case(
        "policy_slow",
        "the policy does not answer in time",
        "end the chunk, rest",
        "a smaller model, a faster device or `policy_timeout`; send the task again",
        policy_says("slow"),
        restarts(POLICY),
        ("POLICY_FAILED",),
        ("/policy/propose_chunks",),
    ),
    Case(
        "policy_nan",
        "the policy answers with NaN",
        "end the chunk, rest: nothing of it is executed",
        "another checkpoint; check its dataset statistics",
        policy_says("nan"),
        policy_says("well"),
        ("POLICY_FAILED", "EXECUTION_FAILED"),
        ("is nan",),
    ),
    Case(
        "policy_error",
        "the policy reports an error",
        "end the chunk, rest",
        "what the message says",
        policy_says("error"),
        policy_says("well"),
        ("POLICY_FAILED",),
        ("Restart the policy",),
    ),
    Case(
        "task_stopped",
        "the emergency stop is raised during a task",
        "both hold; the task is over",
        "`/emergency_stop/set` with data: false, then a new task",
        lambda rig: rig.operator.stop(True),
        lambda rig: rig.operator.stop(False),
        ("EMERGENCY_STOP",),
        ("emergency stop",),
    ),
)
