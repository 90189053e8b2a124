"""What happens to a recording when the disk is slow, full, or the process dies; and when `ros2 bag` does the work."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from executor_rig import wait_until
from std_msgs.msg import String

from cosmos_policy.recorder import ros2bag
from cosmos_policy.recorder.disk import DiskThread
from cosmos_policy.recorder.ros2bag import Ros2BagProcess, command, losses
from cosmos_policy.recorder.session import Session
from cosmos_policy.recorder.topics import Recorded, bag_topics, recorded_topics
from cosmos_policy_core.data.bags.reading import Bag, read_counts, read_record
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.recovery import recover
from cosmos_policy_core.data.bags.staging import FOLDER, FolderLock, leftovers, publish_closed
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import RecordingError

TOPIC = "/talk"
TOPICS = [Recorded(TOPIC, String, 10)]
WORD = b"\x00\x01\x00\x00" + (100_001).to_bytes(4, "little") + b"x" * 100_000 + b"\x00"  # a String of 100 kB
RECORD = EpisodeRecord("episode", instruction="fold the shirt")


def tape(folder: Path, limit: int = 10**9) -> DiskThread:
    return DiskThread(folder, RECORD, bag_topics(TOPICS), limit)


def test_every_camera_and_arm_of_the_contract_is_recorded_raw_or_compressed() -> None:
    contract = Embodiment.load("aloha")
    raw = {topic.name: topic.type_name for topic in recorded_topics(contract)}
    assert raw["/cam_high/image_raw"] == "sensor_msgs/msg/Image"
    assert raw["/follower_left/joint_commands"] == "sensor_msgs/msg/JointState"
    assert raw["/episode_events"] == "cosmos_policy_msgs/msg/EpisodeEvent"
    small = {topic.name: topic.type_name for topic in recorded_topics(contract, "compressed")}
    assert small["/cam_high/image_raw/compressed"] == "sensor_msgs/msg/CompressedImage"
    assert len(bag_topics(recorded_topics(contract))) == len(raw)


def test_what_the_disk_cannot_keep_up_with_is_dropped_and_counted(tmp_path) -> None:
    disk = tape(tmp_path, limit=3 * len(WORD))
    for number in range(200):
        disk.put(TOPIC, number, WORD)
    bag = disk.finish(RECORD)
    kept = read_counts(bag)[TOPIC]
    assert disk.dropped[TOPIC] > 0
    assert kept + disk.dropped[TOPIC] == 200
    assert read_record(bag).lost == {TOPIC: {"writer": disk.dropped[TOPIC]}}


def test_a_full_disk_costs_the_running_episode_only_and_says_how_to_save_it(tmp_path) -> None:
    tape(tmp_path).finish(RECORD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    disk = DiskThread(tmp_path, EpisodeRecord("second"), bag_topics(TOPICS), 10**9)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, hard))  # a file that cannot grow is a disk that is full
    try:
        for number in range(100):
            disk.put(TOPIC, number, WORD)
        with pytest.raises(RecordingError, match=r"cannot be written .*cosmos-policy recover .*/\.recording/second"):
            disk.finish(RECORD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == [FOLDER, "episode"]
    assert sum(disk.dropped.values()) > 0
    saved, counts = recover(tmp_path / FOLDER / "second")
    assert saved == tmp_path / "second_recovered"
    assert 20 < counts[TOPIC] < 45
    assert leftovers(tmp_path) == []


def test_a_recorder_that_is_killed_leaves_its_episode_to_be_named_and_recovered(tmp_path) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from test_recorder_disk import TOPIC, WORD, tape
        disk = tape(Path({str(tmp_path)!r}))
        for number in range(10_000):
            disk.put(TOPIC, number, WORD)
            time.sleep(0.01)
    """)
    process = subprocess.Popen([sys.executable, "-c", program])
    staged = tmp_path / FOLDER / "episode"
    wait_until(lambda: sum(f.stat().st_size for f in staged.glob("*.mcap")) > 3_000_000, "three megabytes", 60.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "episode").exists()
    [leftover] = leftovers(tmp_path)
    assert leftover.sentence.startswith(f"{staged}: is unfinished: an episode (fold the shirt) was cut off after ")
    assert f"cosmos-policy recover {staged}" in leftover.sentence
    saved, counts = recover(staged)
    assert counts[TOPIC] >= 20
    with Bag(saved) as bag:
        assert bag.record.instruction == "fold the shirt"
        assert bag.record.outcome is None
        assert all(message.data == WORD for message in bag.messages([TOPIC]))


def test_an_episode_that_was_closed_but_not_published_is_published_by_the_next_recorder(tmp_path) -> None:
    disk = tape(tmp_path)
    disk.put(TOPIC, 1, WORD)
    bag = disk.finish(RECORD.labelled(Outcome(True, 1.0, "Ada")))
    cut = DiskThread(tmp_path, EpisodeRecord("cut"), bag_topics(TOPICS), 10**9)
    cut.put(TOPIC, 1, WORD)
    bag.rename(tmp_path / FOLDER / "episode")  # as if the process had been killed a moment before
    assert publish_closed(tmp_path) == [tmp_path / "episode"]
    assert read_record(bag).outcome == Outcome(True, 1.0, "Ada")
    assert [leftover.path.name for leftover in leftovers(tmp_path)] == ["cut"]
    cut.discard()


def test_two_recorders_do_not_share_a_folder(tmp_path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(RecordingError, match="another recorder writes here"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


# `ros2 bag record` --------------------------------------------------------------------------------------------------

# A stand-in with the command line of rosbag2's recorder: it writes what it "heard" when it is interrupted.
STAND_IN = """#!{python}
import signal, sys
from pathlib import Path
words = sys.argv[1:]
assert words[:4] == ["bag", "record", "-s", "mcap"], words
out = Path(words[words.index("-o") + 1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # one that comes while this still imports has to wait
Path(words[words.index("-o") + 1] + ".ready").touch()
sys.path[:0] = {path!r}
from test_recorder_disk import TOPIC, TOPICS, WORD
from cosmos_policy.recorder.topics import bag_topics
from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.data.bags.writing import BagWriter
if {waits}:
    signal.sigwait([signal.SIGINT])
writer = BagWriter(out.parent / "made", EpisodeRecord(out.name), bag_topics(TOPICS))
writer.write(TOPIC, 1, WORD)
writer.finish(EpisodeRecord(out.name)).rename(out)
print("[INFO] Cache buffers lost messages per topic: \\n\\t/talk: 7\\n\\t/other: 2")
"""


def put_stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    """Put the stand-in where `ros2` is looked for; it waits to be interrupted, or ends by itself."""
    tools = folder / "tools"
    tools.mkdir()
    program = tools / "ros2"
    program.write_text(STAND_IN.format(python=sys.executable, path=[p for p in sys.path if p], waits=waits))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")


def test_the_command_line_is_that_of_the_distribution(tmp_path, monkeypatch) -> None:
    contract_topics = recorded_topics(Embodiment.load("aloha"))[:2]
    names = [topic.name for topic in contract_topics]
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    words = command(tmp_path / "bag", contract_topics, tmp_path / "qos.yaml", 1000, sim_time=True)
    assert words[:7] == ["ros2", "bag", "record", "-s", "mcap", "-o", str(tmp_path / "bag")]
    assert "--use-sim-time" in words
    assert words[-3:] == ["--topics", *names]
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert "--topics" not in command(tmp_path / "bag", contract_topics, tmp_path / "qos.yaml", 1000, sim_time=False)


def test_ros2_bag_record_is_driven_and_its_bag_gets_record_and_name(tmp_path, monkeypatch) -> None:
    put_stand_in(tmp_path, monkeypatch, waits=True)
    folder = tmp_path / "episodes"
    ready = folder / FOLDER / "episode.ready"
    recording = Ros2BagProcess(folder, RECORD, TOPICS, 1000, sim_time=False, ready=ready.exists)
    time.sleep(0.1)
    bag = recording.finish(RECORD.labelled(Outcome(True, 1.0, "Ada")))
    assert bag == folder / "episode"
    record = read_record(bag)
    assert record.outcome == Outcome(True, 1.0, "Ada")
    assert record.lost == {"/other": {"writer": 2}, TOPIC: {"writer": 7}}
    assert recording.written == {TOPIC: 1}
    assert recording.failure is None


def test_a_ros2_bag_record_that_ends_by_itself_is_noticed_and_what_it_wrote_is_kept(tmp_path, monkeypatch) -> None:
    put_stand_in(tmp_path, monkeypatch, waits=False)
    folder = tmp_path / "episodes"
    ready = folder / FOLDER / "episode.ready"

    def begin(record: EpisodeRecord) -> Ros2BagProcess:
        return Ros2BagProcess(folder, replace(record, episode_id="episode"), TOPICS, 1000, False, ready.exists)

    session = Session(folder, begin, dict)
    tape = session.start(RECORD).tape
    wait_until(lambda: tape.failure is not None, "the end of the process", 60.0)
    assert "ros2 bag record ended by itself with status 0: [INFO] Cache buffers lost" in str(tape.failure)
    finished = session.stop()
    assert "Ended early" in read_record(finished.path).comment
    session.label(Outcome(False, 0.0, "Ada"))
    assert "Ended early" in read_record(finished.path).comment


def test_a_ros2_bag_record_that_dies_without_closing_its_bag_says_how_to_save_it(tmp_path, monkeypatch) -> None:
    program = tmp_path / "ros2"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nsleep 0.3\necho the disk is gone\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ready = (tmp_path / "started").exists
    recording = Ros2BagProcess(tmp_path / "episodes", RECORD, TOPICS, 1000, sim_time=False, ready=ready)
    wait_until(lambda: recording.failure is not None, "the end of the process", 60.0)
    with pytest.raises(RecordingError, match=r"by itself with status 3: the disk is gone.*cosmos-policy recover"):
        recording.finish(RECORD)


def test_a_ros2_bag_record_that_does_not_start_is_told_with_its_own_words(tmp_path, monkeypatch) -> None:
    program = tmp_path / "ros2"
    program.write_text("#!/bin/sh\necho no such storage plugin\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RecordingError, match="does not start: no such storage plugin"):
        Ros2BagProcess(tmp_path / "episodes", RECORD, TOPICS, 1000, sim_time=False, ready=lambda: False)
    assert leftovers(tmp_path / "episodes") == []


def test_losses_are_read_from_what_rosbag2_says_at_its_end() -> None:
    assert losses("[INFO] Writing remaining messages from cache to the bag.") == {}
    assert losses("Cache buffers lost messages per topic: \n\t/a/b: 12\nTotal lost: 12") == {"/a/b": 12}


@pytest.mark.skipif(not ros2bag.is_installed(), reason="rosbag2 with MCAP is not installed")
def test_the_installed_rosbag2_starts_and_ends(tmp_path) -> None:
    recording = Ros2BagProcess(tmp_path, RECORD, TOPICS, 10**7, sim_time=False, ready=lambda: True)
    time.sleep(3.0)
    assert recording.finish(RECORD) == tmp_path / "episode"
