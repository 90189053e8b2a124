"""Take observations from live topics, decoding only what is used.

Topics are polled, still serialized: between two plans a camera costs the node nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import Image, JointState

from aloha_nodes import polling
from aloha_nodes.qos import SENSOR_DATA
from cosmos_policy.errors import ObservationUnavailable
from cosmos_policy.messages import image_problem
from cosmos_policy_core.data.messages import state_problem
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import ObservationError
from cosmos_policy_msgs.msg import Observation


@dataclass(frozen=True)
class Sample:
    """The newest message of one topic, still serialized, and when it came [node clock]."""

    data: bytes
    received: Time


class ObservationBuffer:
    """Keep the newest image of every camera and the newest joint states of every arm.

    Thread-safe: messages may be stored from any thread while an observation is taken in another.
    """

    def __init__(self, contract: Embodiment) -> None:
        self._contract = contract
        self._samples: dict[str, Sample] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._lock = threading.Lock()

    def subscribe(self, node: Node) -> None:
        """Subscribe to every camera and arm of the contract, for as long as the node lives."""
        topics: list[tuple[str, type]] = [(camera.topic, Image) for camera in self._contract.cameras]
        topics += [(arm.state_topic, JointState) for arm in self._contract.arms]
        self._subscriptions = {topic: polling.subscribe(node, kind, topic, SENSOR_DATA) for topic, kind in topics}

    def store(self, topic: str, data: bytes, received: Time) -> None:
        """Keep a serialized message as the newest of its topic."""
        with self._lock:
            self._samples[topic] = Sample(data, received)

    def take(self, instruction: str, now: Time, since: Time | None = None) -> Observation:
        """Decode the newest messages into one observation.

        Args:
            instruction: the task in words.
            now: time on the node clock, against which ages are judged.
            since: refuse images acquired earlier, for example while the arms still moved.

        Raises:
            ObservationUnavailable: topics are silent, late or carry numbers that cannot be used; names each.
        """
        self._collect(now)
        with self._lock:
            samples = dict(self._samples)
        contract, problems = self._contract, _Problems()
        states, images = {}, []
        for arm in contract.arms:
            with problems:
                states[arm.name] = _joint_state(samples, arm.state_topic, now, contract.state_timeout)
        for camera in contract.cameras:
            with problems:
                images.append(_image(samples, camera, now, since, contract.image_max_age))
        problems.raise_any()
        message = Observation(instruction=instruction, images=images)
        message.camera_names = list(contract.camera_names)
        message.joint_names = list(contract.joint_names)
        message.proprio = self._proprio(states)
        message.header.frame_id = contract.name
        youngest = max(states.values(), key=lambda state: (state.header.stamp.sec, state.header.stamp.nanosec))
        message.header.stamp = youngest.header.stamp
        return message

    def _collect(self, now: Time) -> None:
        """Keep what waits in the middleware, each message with the time when it came."""
        for topic, subscription in self._subscriptions.items():
            while (taken := polling.take_raw(subscription)) is not None:
                data, info = taken
                # Not every middleware tells when a message came; all tell when it was sent. Both are wall time.
                came = info.get("received_timestamp") or info["source_timestamp"]
                waited = max(0, time.time_ns() - came)
                self.store(topic, data, Time(nanoseconds=max(0, now.nanoseconds - waited), clock_type=now.clock_type))

    def _proprio(self, states: Mapping[str, JointState]) -> list[float]:
        named = {arm: dict(zip(state.name, state.position, strict=False)) for arm, state in states.items()}
        try:
            proprio: list[float] = self._contract.proprio_from_states(named).tolist()
        except ObservationError as error:
            raise ObservationUnavailable(str(error)) from error
        return proprio


class _Problems:
    """Collect what is wrong with each topic, so that all of it is told at once."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, ObservationUnavailable):
            self._reasons.append(str(error))
            return True
        return False

    def raise_any(self) -> None:
        if self._reasons:
            raise ObservationUnavailable(" ".join(r if r.endswith((".", "?")) else f"{r}." for r in self._reasons))


def _joint_state(samples: Mapping[str, Sample], topic: str, now: Time, limit: float) -> JointState:
    sample = _sample(samples, topic, "joint states", now, limit)
    state: JointState = deserialize_message(sample.data, JointState)
    _refuse_failed_read(state, topic)
    return state


def _image(samples: Mapping[str, Sample], camera: Camera, now: Time, since: Time | None, limit: float) -> Image:
    topic = camera.topic
    image: Image = deserialize_message(_sample(samples, topic, "frame", now, limit).data, Image)
    problem = image_problem(image, camera.width, camera.height, camera.encoding)
    if problem is not None:
        raise ObservationUnavailable(f"{topic}: {problem}. Make camera and contract agree.")
    acquired = Time.from_msg(image.header.stamp, clock_type=now.clock_type)
    age = (now - acquired).nanoseconds * 1e-9
    if age > limit:
        raise ObservationUnavailable(f"waiting for {topic}: the newest frame is {age:.2f} s old{_clock_hint(age)}")
    if age < -limit:
        raise ObservationUnavailable(f"{topic}: the newest frame is stamped {-age:.2f} s ahead{_clock_hint(age)}")
    if since is not None and acquired < since:
        raise ObservationUnavailable(f"waiting for {topic}: no frame since the arms came to rest")
    return image


def _clock_hint(age: float) -> str:
    """Name the usual cause of an absurd age [s]."""
    return ". Set use_sim_time alike in all nodes." if not -1.0 < age < 3600.0 else ""


def _sample(samples: Mapping[str, Sample], topic: str, what: str, now: Time, limit: float) -> Sample:
    sample = samples.get(topic)
    if sample is None:
        raise ObservationUnavailable(f"waiting for {topic}: no {what} yet. Is its node running?")
    silence = (now - sample.received).nanoseconds * 1e-9
    if silence > limit:
        raise ObservationUnavailable(f"waiting for {topic}: last {what} {silence:.1f} s ago")
    return sample


def _refuse_failed_read(state: JointState, topic: str) -> None:
    problem = state_problem(state.name, state.position)
    if problem is not None:
        raise ObservationUnavailable(f"{topic}: {problem}. Check the arm's bus.")
