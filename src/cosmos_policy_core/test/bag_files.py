"""Hand-made bags of a small robot whose every number is a known function of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Nodetype

from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.types import Topic, TypeCatalog
from cosmos_policy_core.data.bags.writing import BagWriter
from cosmos_policy_core.embodiment import Embodiment

MESSAGES = Path(__file__).resolve().parents[2] / "cosmos_policy_msgs" / "msg"
START = 1_000_000_000_000  # [ns]
IMAGE, STATE, REPORT = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState", "cosmos_policy_msgs/msg/PlanReport"
TASK = "transfer the cube to the left arm"

Event = tuple[str, int, Any]  # topic, received [ns], message


def small_contract(name: str = "aloha_sim", width: int = 32, height: int = 24, **images: Any) -> Embodiment:
    """The simulated cell with tiny cameras."""
    shipped = Embodiment.load(name)
    cameras = tuple(camera.model_copy(update={"width": width, "height": height}) for camera in shipped.cameras)
    changed = shipped.images.model_copy(update=images)
    return shipped.model_copy(update={"cameras": cameras, "images": changed, "chunk_horizon": 10, "executed_steps": 10})


def catalog() -> TypeCatalog:
    """Types of ROS 2 and of this suite."""
    return TypeCatalog({f"cosmos_policy_msgs/msg/{file.stem}": file.read_text() for file in MESSAGES.glob("*.msg")})


CATALOG = catalog()


def blank(kind: str, **fields: Any) -> Any:
    """Make a message whose fields are zero, empty or false unless they are given."""
    for name, (node, what) in CATALOG._store.fielddefs[kind][1]:
        if name in fields:
            continue
        if node == Nodetype.NAME:
            fields[name] = blank(what)
        elif node == Nodetype.BASE:
            fields[name] = {"string": "", "bool": False}.get(what[0], 0)
        else:
            base = what[0][1][0] if what[0][0] == Nodetype.BASE else ""
            numbers = base not in ("", "string")
            fields[name] = np.zeros(0, dtype="bool" if base == "bool" else base) if numbers else []
    return CATALOG.make(kind, **fields)


def stamp(time: int) -> Any:
    return CATALOG.make("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)


def header(time: int, frame: str = "") -> Any:
    return CATALOG.make("std_msgs/msg/Header", stamp=stamp(time), frame_id=frame)


def action_at(contract: Embodiment, seconds: float) -> NDArray[np.float64]:
    """What the arms are told: smooth, different for every joint."""
    phase = np.arange(contract.action_dim) / contract.action_dim
    return np.clip(contract.start_action + 0.2 * np.sin(seconds + phase) + 0.2, contract.action_lower, 0.9)


def picture(contract: Embodiment, camera: int, number: int) -> NDArray[np.uint8]:
    """An image that tells camera and number, and that JPEG cannot keep exactly."""
    shape = (contract.cameras[camera].height, contract.cameras[camera].width, 3)
    return np.random.default_rng((camera, number)).integers(0, 256, shape, dtype=np.uint8)


def image(pixels: NDArray[np.uint8], time: int) -> Any:
    height, width, _ = pixels.shape
    fields = {"height": height, "width": width, "encoding": "rgb8", "is_bigendian": 0, "step": 3 * width}
    return CATALOG.make(IMAGE, header=header(time), data=pixels.reshape(-1), **fields)


def joints(time: int, names: Sequence[str], positions: Sequence[float], moving: bool = False) -> Any:
    numbers = np.asarray(positions, dtype=np.float64)
    rates = np.full(len(names) if moving else 0, 0.5)
    return CATALOG.make(STATE, header=header(time), name=list(names), position=numbers, velocity=rates, effort=rates)


def states_at(contract: Embodiment, seconds: float, time: int) -> dict[str, Any]:
    """Joint states of every arm, in the vendor's order, standing where they are told to be."""
    found, told = {}, action_at(contract, seconds)
    for index, arm in enumerate(contract.arms):
        part = told[7 * index : 7 * index + 7]
        closed, opened = arm.gripper.values.span("finger_position")
        finger = closed + part[-1] * (opened - closed)
        positions = [*part[:-1], arm.gripper.action_to_command(part[-1]), finger, -finger]
        found[arm.state_topic] = joints(time, [*arm.command_names, "left_finger", "right_finger"], positions, True)
    return found


def commands_of(contract: Embodiment, action: NDArray[np.float64], time: int) -> dict[str, Any]:
    commands = contract.commands_from_action(action)
    return {arm.command_topic: joints(time, *commands[arm.name]) for arm in contract.arms}


def robot_events(contract: Embodiment, seconds: float = 1.0) -> list[Event]:
    """Everything a healthy robot says in some seconds, in order of time; received 1 ms after its stamp."""
    events: list[Event] = []
    for number in range(int(seconds * contract.cameras[0].rate)):
        time = START + round(number * 1e9 / contract.cameras[0].rate)
        for index, camera in enumerate(contract.cameras):
            events.append((camera.topic, time, image(picture(contract, index, number), time)))
    for number in range(int(seconds * contract.command_rate)):
        time = START + round(number * 1e9 / contract.command_rate)
        moment = (time - START) * 1e-9
        events += [(topic, time, message) for topic, message in states_at(contract, moment, time).items()]
        told = commands_of(contract, action_at(contract, moment), time)
        events += [(topic, time, message) for topic, message in told.items()]
    return sorted(((topic, time + 1_000_000, message) for topic, time, message in events), key=lambda event: event[1])


def topics(contract: Embodiment) -> list[Topic]:
    found = [CATALOG.topic(camera.topic, IMAGE) for camera in contract.cameras]
    found += [CATALOG.topic(name, STATE) for arm in contract.arms for name in (arm.state_topic, arm.command_topic)]
    return [*found, CATALOG.topic("/plan_report", REPORT)]


def record_of(robot: Embodiment, name: str = "episode", **changes: Any) -> EpisodeRecord:
    """A labelled success, recorded under a contract."""
    record = EpisodeRecord(name, robot.to_yaml(), TASK, "tester", outcome=Outcome(True, 1.0, "operator"))
    return replace(record, **changes)


def write_bag(
    folder: Path,
    robot: Embodiment,
    name: str = "episode",
    seconds: float = 1.0,
    spoil: Callable[[list[Event]], list[Event]] = lambda events: events,
    **record: Any,
) -> Path:
    """Write a bag; `spoil` may change what the robot says, `record` what is written about it."""
    described, known = record_of(robot, name, **record), topics(robot)
    writer = BagWriter(folder, described, known)
    kinds = {topic.name: topic.type for topic in known}
    for topic, time, message in spoil(robot_events(robot, seconds)):
        writer.write(topic, time, CATALOG.serialize(message, kinds[topic]))
    return writer.finish(described)
