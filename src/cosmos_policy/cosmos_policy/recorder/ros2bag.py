"""Let the installed `ros2 bag record` do the recording; it writes the same layout, in C++."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from cosmos_policy.recorder.topics import Recorded
from cosmos_policy_core.data.bags.reading import read_counts
from cosmos_policy_core.data.bags.record import WRITER, EpisodeRecord
from cosmos_policy_core.data.bags.staging import Staging, remedy
from cosmos_policy_core.errors import RecordingError

NEEDED = ("ros2bag", "rosbag2_transport", "rosbag2_storage_mcap")
START_TIMEOUT = 15.0  # [s] until it has subscribed
END_TIMEOUT = 60.0  # [s] to empty its cache
LOST = re.compile(r"^\s*[-\s]*(/\S+):\s*(\d+)\s*$", re.MULTILINE)


def is_installed() -> bool:
    """Whether `ros2 bag record` can write MCAP here."""
    if shutil.which("ros2") is None:
        return False
    try:
        return all(get_package_prefix(package) for package in NEEDED)
    except PackageNotFoundError:
        return False


def command(path: Path, topics: list[Recorded], qos: Path, cache: int, sim_time: bool) -> list[str]:
    """Write the command line, for Jazzy and later or for Humble."""
    words = ["ros2", "bag", "record", "-s", "mcap", "-o", str(path), "--max-cache-size", str(cache)]
    words += ["--qos-profile-overrides-path", str(qos)]
    if sim_time:
        words.append("--use-sim-time")
    names = [topic.name for topic in topics]
    if os.environ.get("ROS_DISTRO") == "humble":
        return [*words, *names]
    return [*words, "--disable-keyboard-controls", "--topics", *names]


class Ros2BagProcess:
    """One episode recorded by a process of its own.

    Args:
        ready: tells whether somebody subscribed to what the recorder will publish.

    Raises:
        RecordingError: it does not start.
    """

    def __init__(
        self,
        folder: Path,
        record: EpisodeRecord,
        topics: list[Recorded],
        cache: int,
        sim_time: bool,
        ready: Callable[[], bool],
    ) -> None:
        self._staging = Staging(folder, record)
        self._helpers = Path(tempfile.mkdtemp(prefix="cosmos_policy_recorder_"))
        qos = self._helpers / "qos.yaml"
        qos.write_text(yaml.safe_dump({topic.name: _profile(topic) for topic in topics}))
        self._log = (self._helpers / "log").open("w+")
        self._process = subprocess.Popen(
            command(self._staging.path, topics, qos, cache, sim_time),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the node, which ends it in order
        )
        self.dropped: dict[str, int] = {}
        self._ending = False
        self.written: dict[str, int] = {}
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._said()[-500:]
                self.discard()
                raise RecordingError(f"ros2 bag record does not start: {said.strip() or 'it subscribed to nothing'}")
            time.sleep(0.05)

    @property
    def failure(self) -> RecordingError | None:
        """What is wrong when the process ended before it was asked to."""
        if self._ending or self._process.poll() is None:
            return None
        said = self._said()[-500:].strip() or "it said nothing"
        status = self._process.returncode
        return RecordingError(f"{self.path}: ros2 bag record ended by itself with status {status}: {said}")

    @property
    def path(self) -> Path:
        """Where the episode is while it is recorded."""
        return self._staging.path

    def put(self, topic: str, stamp: int, data: bytes) -> None:
        """Do nothing: the process has its own subscriptions."""

    def finish(self, record: EpisodeRecord) -> Path:
        """End the process and give the episode its final name.

        Raises:
            RecordingError: the bag is not whole; what was written can be recovered.
        """
        failure = self.failure
        self._end(signal.SIGINT)
        self.dropped = losses(self._said())
        self._clean()
        if not (self.path / "metadata.yaml").exists():
            problem = str(failure or f"{self.path}: ros2 bag record left no metadata")
            raise RecordingError(f"{problem}. {remedy(self.path)}")
        self.written = read_counts(self.path)
        return self._staging.publish(record.with_losses(WRITER, self.dropped))

    def discard(self) -> None:
        """End the process and delete the episode."""
        self._end(signal.SIGKILL)
        self._clean()
        self._staging.discard()

    def _end(self, number: int) -> None:
        self._ending = True
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _said(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def _clean(self) -> None:
        self._log.close()
        shutil.rmtree(self._helpers, ignore_errors=True)


def losses(log: str) -> dict[str, int]:
    """Read how many messages per topic its cache lost; it says so only when it lost some."""
    _, found, rest = log.partition("Cache buffers lost messages per topic")
    return {name: int(count) for name, count in LOST.findall(rest)} if found else {}


def _profile(topic: Recorded) -> dict[str, object]:
    return {
        "history": "keep_last",
        "depth": topic.depth,
        "reliability": "reliable" if topic.reliable else "best_effort",
        "durability": "transient_local" if topic.latched else "volatile",
    }
