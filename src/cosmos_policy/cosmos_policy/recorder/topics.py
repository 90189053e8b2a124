"""What is recorded of a robot: topics, types and quality of service, derived from its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool

from aloha_nodes import emergency_stop
from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC
from cosmos_policy_core.data.bags.record import EVENTS_TOPIC
from cosmos_policy_core.data.bags.types import Topic, TypeCatalog
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import RecordingError
from cosmos_policy_msgs.msg import EpisodeEvent, PlanReport

Images = Literal["raw", "compressed"]
RecordedKind = type[Any]  # a message class
SUCCESS_TOPIC = "/task_success"


@dataclass(frozen=True)
class Recorded:
    """A topic to record. `reliable` is what is asked for: asking a best-effort publisher for it would give nothing."""

    name: str
    kind: type
    depth: int
    reliable: bool = False
    latched: bool = False

    @property
    def type_name(self) -> str:
        """Name of the type, as bags have it."""
        package, *_ = self.kind.__module__.split(".")
        return f"{package}/msg/{self.kind.__name__}"

    @property
    def qos(self) -> QoSProfile:
        """Quality of service to subscribe with."""
        return QoSProfile(
            history=QoSHistoryPolicy.KEEP_LAST,
            depth=self.depth,
            reliability=QoSReliabilityPolicy.RELIABLE if self.reliable else QoSReliabilityPolicy.BEST_EFFORT,
            durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if self.latched else QoSDurabilityPolicy.VOLATILE,
        )


def recorded_topics(contract: Embodiment, images: Images = "raw") -> list[Recorded]:
    """List what is recorded; the depths bridge a second of hiccups for small messages, half of one for 60 Hz images."""
    found = []
    for camera in contract.cameras:
        if images == "raw":
            found.append(Recorded(camera.topic, Image, 30))
        else:
            found.append(Recorded(f"{camera.topic}/compressed", CompressedImage, 30))
    for arm in contract.arms:
        found.append(Recorded(arm.state_topic, JointState, 100))
        found.append(Recorded(arm.command_topic, JointState, 100))
    return [
        *found,
        Recorded(REPORTS_TOPIC, PlanReport, 10, reliable=True),
        Recorded(SUCCESS_TOPIC, Bool, 1, reliable=True, latched=True),
        Recorded(emergency_stop.TOPIC, Bool, 1, reliable=True, latched=True),
        Recorded(emergency_stop.STATE, Bool, 1, reliable=True, latched=True),
        Recorded(EVENTS_TOPIC, EpisodeEvent, 10, reliable=True, latched=True),
    ]


def catalog_of(kinds: Sequence[type[Any]]) -> TypeCatalog:
    """Collect the definitions of types, and of every type of the same packages.

    Raises:
        RecordingError: a package is not installed.
    """
    texts = {}
    for package in {kind.__module__.split(".")[0] for kind in kinds}:
        try:
            folder = Path(get_package_share_directory(package)) / "msg"
        except PackageNotFoundError:
            raise RecordingError(f"package {package} is not installed. Build or source it.") from None
        texts.update({f"{package}/msg/{file.stem}": file.read_text() for file in sorted(folder.glob("*.msg"))})
    return TypeCatalog(texts)


def bag_topics(topics: Sequence[Recorded]) -> list[Topic]:
    """Describe topics to a bag writer."""
    catalog = catalog_of([topic.kind for topic in topics])
    return [catalog.topic(t.name, t.type_name, reliable=t.reliable, latched=t.latched, depth=t.depth) for t in topics]
