"""The camera node on a real graph: what its topics promise, what it refuses, and how it says that a camera is ill."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_kit import HEIGHT, WIDTH, picture, wait, write_pictures
from PIL import Image as Picture

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402

from aloha_hardware.camera import messages  # noqa: E402
from aloha_hardware.camera_node import CameraNode  # noqa: E402
from aloha_nodes.errors import ParameterError  # noqa: E402
from aloha_nodes.spinning import spinning  # noqa: E402

RAW, INFO, JPEG = "/cam_high/image_raw", "/cam_high/camera_info", "/cam_high/image_raw/compressed"


class Observer(Node):
    """Keeps the messages of every topic it listens to."""

    def __init__(self) -> None:
        super().__init__("observer")
        self.heard: dict[str, list[Any]] = {}

    def listen(self, kind: type, topic: str) -> Any:
        self.heard[topic] = []
        return self.create_subscription(kind, topic, self.heard[topic].append, qos_profile_sensor_data)

    def fresh(self, topic: str) -> Any:
        """Wait for a message that is yet to come."""
        self.heard[topic].clear()
        return wait(lambda: self.heard[topic], topic)[0]

    def status(self, wanted: Callable[[DiagnosticStatus], bool], what: str) -> DiagnosticStatus:
        """Wait for a report of the camera that is as wanted."""
        return wait(
            lambda: next((s for array in self.heard["/diagnostics"][-1:] for s in array.status if wanted(s)), None),
            what,
        )


@pytest.fixture(scope="module")
def graph() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def observer(graph: None) -> Iterator[Observer]:
    observer = Observer()
    for kind, topic in ((Image, RAW), (CameraInfo, INFO), (DiagnosticArray, "/diagnostics")):
        observer.listen(kind, topic)
    with spinning(observer):
        yield observer


Maker = Callable[..., CameraNode]


@pytest.fixture
def make(graph: None, tmp_path: Path) -> Iterator[Maker]:
    write_pictures(tmp_path / "pictures", 6)
    with contextlib.ExitStack() as stack:

        def make(**changes: Any) -> CameraNode:
            values: dict[str, Any] = {
                "camera": "cam_high",
                "source": "images",
                "device": str(tmp_path / "pictures"),
                "width": WIDTH,
                "height": HEIGHT,
                "rate": 20.0,
                "reconnect_first": 0.05,
                "stale_after": 0.3,
            }
            overrides = [Parameter(key, value=value) for key, value in (values | changes).items()]
            node = CameraNode(parameter_overrides=overrides)
            stack.enter_context(spinning(node))
            stack.callback(node.stop)
            return node

        yield make


def stamp(message: Any) -> float:
    return float(message.header.stamp.sec + message.header.stamp.nanosec * 1e-9)


def value(status: DiagnosticStatus, key: str) -> float:
    return float(next(pair.value for pair in status.values if pair.key == key))


def test_a_picture_arrives_whole_with_the_time_it_was_taken(make: Maker, observer: Observer) -> None:
    assert make().start()
    image = observer.fresh(RAW)
    assert (image.encoding, image.width, image.height, image.step) == ("rgb8", WIDTH, HEIGHT, 3 * WIDTH)
    pixels = np.frombuffer(image.data, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert np.array_equal(pixels, picture(int(pixels[0, 0, 0])))
    assert image.header.frame_id == "cam_high_optical_frame"
    assert 0 <= time.time() - stamp(image) < 2
    images = observer.heard[RAW]
    wait(lambda: len(images) >= 6, "six pictures")
    periods = np.diff([stamp(message) for message in images]) / 0.05
    assert periods == pytest.approx(np.round(periods), abs=0.05)


def test_camera_info_has_the_stamp_of_its_picture_and_says_that_nothing_is_calibrated(
    make: Maker, observer: Observer
) -> None:
    assert make().start()
    info = observer.fresh(INFO)
    assert (info.width, info.height, info.k[0]) == (WIDTH, HEIGHT, 0.0)
    assert info.header.frame_id == "cam_high_optical_frame"
    wait(lambda: {stamp(i) for i in observer.heard[INFO]} & {stamp(i) for i in observer.heard[RAW]}, "a common stamp")


def test_a_jpeg_is_made_only_while_someone_listens(
    make: Maker, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[CompressedImage] = []

    def encode(*arguments: Any) -> CompressedImage:
        made.append(encoder(*arguments))
        return made[-1]

    encoder = messages.compressed_message
    monkeypatch.setattr(messages, "compressed_message", encode)
    node = make()
    assert node.start()
    observer.fresh(RAW)
    assert made == []
    listener = Observer()
    listener.listen(CompressedImage, JPEG)
    with spinning(listener):
        message = listener.fresh(JPEG)
    wait(lambda: not node.count_subscribers(JPEG), "the listener to be gone")
    observer.fresh(RAW)
    made.clear()
    observer.fresh(RAW)
    assert len(made) <= 1
    assert message.format == "rgb8; jpeg compressed bgr8"
    pixels = np.array(Picture.open(io.BytesIO(bytes(message.data)))).astype(int)
    assert np.abs(pixels - picture(int(pixels[0, 0, 0]))).max() <= 6


def test_diagnostics_tell_rate_age_and_drops(make: Maker, observer: Observer) -> None:
    assert make().start()
    status = observer.status(lambda s: value(s, "published") >= 30, "a report on 30 pictures")
    assert status.name == "camera: cam_high"
    assert status.hardware_id.endswith("pictures")
    assert 5 < value(status, "rate") < 25
    assert 0 < value(status, "age_mean") <= value(status, "age_max") < 2
    assert value(status, "captured") >= value(status, "published") + value(status, "dropped")
    assert value(status, "reconnects") == 0


def test_a_frozen_camera_is_stale_and_nothing_is_published(make: Maker, observer: Observer, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "still", 1)
    assert make(device=str(folder)).start()
    status = observer.status(lambda s: s.level == DiagnosticStatus.STALE, "a stale camera")
    assert "the same picture again and again" in status.message
    published = value(status, "published")
    observer.heard[RAW].clear()
    status = observer.status(lambda s: value(s, "repeated") > value(status, "repeated") + 5, "more repeats")
    assert value(status, "published") == published <= 1
    assert observer.heard[RAW] == []


def test_an_unplugged_camera_is_an_error_until_it_comes_back(make: Maker, observer: Observer, tmp_path: Path) -> None:
    folder, away = tmp_path / "pictures", tmp_path / "away"
    assert make().start()
    observer.fresh(RAW)
    os.rename(folder, away)
    status = observer.status(lambda s: s.level == DiagnosticStatus.ERROR, "a lost camera")
    assert "there is no picture" in status.message and "Tried again" in status.message
    observer.heard[RAW].clear()
    os.rename(away, folder)
    wait(lambda: observer.heard[RAW], "pictures after the camera came back")
    observer.status(lambda s: s.level != DiagnosticStatus.ERROR and value(s, "reconnects") == 1, "one reconnect")


def test_a_camera_whose_publishing_fails_is_an_error_that_asks_for_a_restart(make: Maker, observer: Observer) -> None:
    node = make()

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    node._publish = broken  # type: ignore[method-assign]
    assert node.start()
    status = observer.status(lambda s: s.level == DiagnosticStatus.ERROR, "the failure")
    assert status.message == "publishing failed: see the log. Restart the node."


def test_an_inactive_camera_publishes_nothing_and_can_be_activated_again(make: Maker, observer: Observer) -> None:
    node = make()
    assert node.start()
    observer.fresh(RAW)
    node.trigger_deactivate()
    observer.status(lambda s: s.message.startswith("inactive"), "an inactive camera")
    observer.heard[RAW].clear()
    time.sleep(0.3)
    assert observer.heard[RAW] == []
    node.trigger_activate()
    observer.fresh(RAW)
    node.stop()
    assert node.state == "unconfigured"
    assert node.start()
    observer.fresh(RAW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"camera": ""}, "camera: '' is no name. Give the contract's"),
        ({"source": "usb"}, "source 'usb' is unknown. Use one of: v4l2"),
        ({"device": ""}, "device is not set. Give a folder of pictures"),
        ({"device": "/missing"}, "/missing: there is no picture. Set device"),
        ({"source": "v4l2", "device": "/dev/video63"}, "/dev/video63: there is no such device. Plug the camera in"),
        ({"width": 640, "height": 480}, "pictures are 64x48, not 640x480. Set width and height"),
        ({"encoding": "bgr8"}, "encoding 'bgr8' is not published. Use rgb8"),
        ({"pixel_format": "MJPEG"}, "'MJPEG' is not four letters"),
        ({"image_topic": "no topic"}, "'no topic' is no topic. Use for example /cam_high/image_raw"),
        ({"calibration": "/missing.yaml"}, "/missing.yaml: No such file"),
        ({"use_sim_time": True}, "Set use_sim_time to false"),
    ],
)
def test_what_no_camera_can_do_is_refused_at_configure(
    make: Maker, capfd: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str
) -> None:
    node = make(**changes)
    assert not node.start()
    assert node.state == "unconfigured"
    said = capfd.readouterr().err
    assert reason in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate": 30}, r"parameter rate is not of type float \(write 1.0, not 1\)"),
        ({"device": 123}, r"parameter device is not of type str \(quote it"),
        ({"width": 3}, r"parameter width must lie in \[16, 8192\]"),
    ],
)
def test_a_parameter_of_another_type_or_out_of_range_is_refused(
    make: Maker, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ParameterError, match=reason):
        make(**changes)


def test_every_parameter_is_described(make: Maker) -> None:
    node = make()
    for name in ("camera", "source", "device", "width", "rate", "exposure", "stale_after", "reconnect_longest"):
        assert node.describe_parameter(name).description
    assert node.describe_parameter("rate").floating_point_range[0].to_value == 1000.0


def test_the_process_ends_on_ctrl_c_without_a_traceback_and_with_1_when_refused(tmp_path: Path) -> None:
    def start(device: Path) -> subprocess.Popen[str]:
        parameters = {"camera": "cam_low", "source": "images", "device": device, "width": WIDTH, "height": HEIGHT}
        options = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        command = [sys.executable, "-m", "aloha_hardware.camera_node", "--ros-args", *options]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    running, refused = start(write_pictures(tmp_path / "pictures", 2)), start(tmp_path / "missing")
    assert running.stderr is not None and refused.stderr is not None
    first = running.stderr.readline()
    assert "cam_low: images" in first
    running.send_signal(signal.SIGINT)
    rest = running.stderr.read()
    assert running.wait(timeout=20) == 0
    assert "Traceback" not in rest
    assert "there is no picture" in refused.stderr.read()
    assert refused.wait(timeout=20) == 1
