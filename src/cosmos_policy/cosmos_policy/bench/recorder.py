"""`cosmos-policy bench recorder`: count what cameras send, what arrives at the recorder, and what is in the bag."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rich.console import Console
from rich.table import Table

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.bench.senders import put_stamp, serialized_image, serialized_joints
from cosmos_policy.dds import profile
from cosmos_policy.errors import NoAnswer
from cosmos_policy.recorder.disk import DiskThread
from cosmos_policy.recorder.keys import Remote
from cosmos_policy.recorder.topics import bag_topics, recorded_topics
from cosmos_policy_core.data.bags.reading import Bag, read_counts, read_record
from cosmos_policy_core.data.bags.record import TRANSPORT, WRITER, EpisodeRecord
from cosmos_policy_core.embodiment import Embodiment

QUEUE = 1024 * 10**6  # [bytes], the node's default
Counts = Mapping[str, int]


def run(options: Any) -> int:
    """Measure, print, and say by the exit code whether the writer lost anything."""
    report = measure(options, cell(options))
    _print(report)
    if options.json:
        print(json.dumps(report))
    return 1 if report["writer"]["lost"] or report.get("transport", {}).get("lost_by_writer") else 0


def measure(options: Any, contract: Embodiment) -> dict[str, Any]:
    """Return the numbers, keyed as `bench recorder --json` prints them."""
    report: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "seconds": options.seconds}
    with tempfile.TemporaryDirectory(prefix="bench_recorder_", dir=options.folder) as name:
        folder = Path(name)
        report["writer"] = measure_writer(options, contract, folder / "writer")
        if options.transport:
            report["transport"] = measure_transport(options, contract, folder)
    return report


def cell(options: Any) -> Embodiment:
    """The real cell with cameras as asked for."""
    shipped = Embodiment.load("aloha")
    roles = ("wrist", "wrist2", "primary", "secondary")
    cameras = []
    for index in range(options.cameras):
        like = shipped.cameras[min(index, len(shipped.cameras) - 1)]
        changes = {"width": options.width, "height": options.height, "rate": options.rate, "role": roles[index]}
        cameras.append(like.model_copy(update={**changes, "name": f"cam_{index}", "topic": f"/cam_{index}/image_raw"}))
    return shipped.model_copy(update={"cameras": tuple(cameras)})


def schedule(options: Any, contract: Embodiment) -> list[tuple[float, str]]:
    """List every message of an episode with its time [s]: images, joint states and commands at their rates."""
    rates = {camera.topic: options.rate for camera in contract.cameras}
    rates |= {arm.state_topic: contract.state_rate for arm in contract.arms}
    rates |= {arm.command_topic: contract.command_rate for arm in contract.arms}
    return sorted((n / rate, name) for name, rate in rates.items() for n in range(round(rate * options.seconds)))


def measure_writer(options: Any, contract: Embodiment, folder: Path) -> dict[str, Any]:
    """Put messages into the writer at their rates, without DDS, and count what is in the bag."""
    data = {camera.topic: serialized_image(options.width, options.height) for camera in contract.cameras}
    for arm in contract.arms:
        names = [*arm.command_names, "left_finger", "right_finger"]
        data |= {arm.state_topic: serialized_joints(names), arm.command_topic: serialized_joints(names)}
    record = EpisodeRecord("bench", contract.to_yaml())
    folder.mkdir()
    disk = DiskThread(folder, record, bag_topics(recorded_topics(contract)), QUEUE)
    plan, sent = schedule(options, contract), dict.fromkeys(data, 0)
    used, begin = time.process_time(), time.monotonic()
    for moment, topic in plan:
        wait = begin + moment - time.monotonic()
        if wait > 0.001:
            time.sleep(wait)
        put_stamp(data[topic], time.time_ns())
        disk.put(topic, time.time_ns(), bytes(data[topic]))
        sent[topic] += 1
    ended = time.monotonic()
    bag = disk.finish(record)
    counts = counted(bag)
    return {
        "sent": sum(sent.values()),
        "written": sum(counts[topic] for topic in sent),
        "lost": sum(sent[topic] - counts[topic] for topic in sent),
        "images_written": sum(counts[camera.topic] for camera in contract.cameras),
        "megabytes_per_second": round(sum(f.stat().st_size for f in bag.iterdir()) / 1e6 / options.seconds, 1),
        "queue_peak_megabytes": round(disk.peak / 1e6, 1),
        "behind_schedule_s": round(ended - begin - options.seconds, 3),
        "seconds_to_finish": round(time.monotonic() - ended, 2),
        "processor_share": round((time.process_time() - used) / (time.monotonic() - begin), 2),
    }


def counted(bag: Path) -> dict[str, int]:
    """Count the messages of a bag by reading them all, and hold that against its metadata."""
    said = read_counts(bag)
    found = dict.fromkeys(said, 0)
    with Bag(bag) as opened:
        for message in opened.messages(list(said)):
            found[message.topic] += 1
    if found != said:
        raise AssertionError(f"{bag}: the metadata says {said}, the file holds {found}")
    return found


def measure_transport(options: Any, contract: Embodiment, folder: Path) -> dict[str, Any]:
    """Record processes that send over DDS: what was sent, what arrived, what is in the bag."""
    (folder / "contract.yaml").write_text(contract.to_yaml())
    environment = {**os.environ, **(profile(os.environ) if options.dds_profile else {})}
    os.environ.update(environment)
    words = [sys.executable, "-m", "cosmos_policy.episode_recorder_node", "--ros-args"]
    settings = {"embodiment": folder / "contract.yaml", "folder": folder / "episodes", "storage": "rosbags"}
    for name, value in settings.items():
        words += ["-p", f"{name}:={value}"]
    recorder = subprocess.Popen(words, env=environment)
    rclpy.init()
    node = Node("bench")
    spinning = SpinningThread(node)
    try:
        remote = Remote(node)
        _begin(remote, recorder)
        sent = _send(options, contract, environment)
        answer = remote.call("stop")
        if not answer[0]:
            raise NoAnswer(answer[1])
    finally:
        spinning.stop()
        node.destroy_node()
        rclpy.try_shutdown()
        recorder.terminate()
        recorder.wait(10)
    bag = next(path for path in (folder / "episodes").iterdir() if not path.name.startswith("."))
    return _balance(sent, counted(bag), read_record(bag), contract)


def _begin(remote: Remote, recorder: subprocess.Popen[bytes]) -> None:
    """Start an episode as soon as the recorder is up."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and recorder.poll() is None:
        try:
            if remote.call("start")[0]:
                return
        except NoAnswer:
            continue
        time.sleep(0.3)
    raise NoAnswer("the recorder did not start an episode within 60 s. Read what it printed.")


def _send(options: Any, contract: Embodiment, environment: Mapping[str, str]) -> dict[str, int]:
    """Run a process per camera and one for the arms, and return how many messages they sent per topic."""
    base = [sys.executable, "-m", "cosmos_policy.bench.senders", "--seconds", str(options.seconds)]
    jobs = []
    for camera in contract.cameras:
        size = [str(options.width), str(options.height)]
        jobs.append([*base, "--images", camera.topic, "--size", *size, "--rate", str(options.rate)])
    joints = ["--joints", *contract.arms[0].command_names, "left_finger", "right_finger"]
    states, commands = ([getattr(a, name) for a in contract.arms] for name in ("state_topic", "command_topic"))
    jobs.append([*base, "--states", *states, *joints, "--rate", str(contract.state_rate)])
    jobs.append([*base, "--commands", *commands, *joints, "--rate", str(contract.command_rate)])
    processes = [subprocess.Popen(job, env=dict(environment), stdout=subprocess.PIPE, text=True) for job in jobs]
    sent: dict[str, int] = {}
    for process in processes:
        said, _ = process.communicate(timeout=options.seconds * 10 + 60)
        sent |= json.loads(said.splitlines()[-1])
    return sent


def _balance(sent: Counts, written: Counts, record: EpisodeRecord, contract: Embodiment) -> dict[str, Any]:
    by_writer = sum(ways.get(WRITER, 0) for ways in record.lost.values())
    images = [camera.topic for camera in contract.cameras]
    return {
        "sent": sum(sent.values()),
        "written": sum(written[topic] for topic in sent),
        "lost_by_writer": by_writer,
        "lost_on_the_way": sum(sent[topic] - written[topic] for topic in sent) - by_writer,
        "counted_on_the_way": sum(ways.get(TRANSPORT, 0) for ways in record.lost.values()),
        "images_sent": sum(sent[topic] for topic in images),
        "images_written": sum(written[topic] for topic in images),
    }


def _print(report: dict[str, Any]) -> None:
    table = Table("", "sent", "written", "lost by the writer", "lost on the way", title=f"{report['machine']}")
    writer = report["writer"]
    table.add_row("writer alone", str(writer["sent"]), str(writer["written"]), str(writer["lost"]), "-")
    if "transport" in report:
        way = report["transport"]
        numbers = (way["sent"], way["written"], way["lost_by_writer"], way["lost_on_the_way"])
        table.add_row("over DDS", *map(str, numbers))
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"writer alone: {report['seconds']:g} s at {writer['megabytes_per_second']} MB/s; at most "
        f"{writer['queue_peak_megabytes']} MB waited; {writer['seconds_to_finish']} s to finish; "
        f"{writer['processor_share']:.0%} of a processor."
    )
    if writer["behind_schedule_s"] > 0.5:
        late = f"This machine was too busy to send in time: the last message was {writer['behind_schedule_s']} s late."
        console.print(late, style="yellow")
