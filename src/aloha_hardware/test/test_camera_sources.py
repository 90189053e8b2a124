"""Where pictures come from: what each source gives, and what it refuses before anyone relies on it."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from camera_kit import HEIGHT, WIDTH, asked, picture, write_pictures
from PIL import Image

from aloha_hardware.camera import v4l2
from aloha_hardware.camera.errors import CameraError, CameraLostError, RecordingEndedError
from aloha_hardware.camera.images import ImageFiles
from aloha_hardware.camera.realsense import RealSenseCamera
from aloha_hardware.camera.source import Frame, Source
from aloha_hardware.camera.v4l2 import V4l2Camera
from aloha_hardware.camera.video import VideoFile

RATE = 200.0


def write_video(path: Path, shades: list[int], pixel_format: str = "yuv420p") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=int(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for shade in shades:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(shade), format="rgb24")))
        container.mux(stream.encode())
    return path


def read(source: Source) -> Frame:
    frame = source.read(timeout=1.0)
    assert frame is not None
    return frame


def test_pictures_of_a_folder_come_in_order_at_the_rate_and_start_again(tmp_path: Path) -> None:
    source = ImageFiles(str(write_pictures(tmp_path, 3)), asked(RATE), loop=True)
    source.open()
    frames = [read(source) for _ in range(4)]
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 20, 40, 0]
    assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)
    assert all(later.acquired - earlier.acquired >= 5_000_000 for earlier, later in itertools.pairwise(frames))
    assert 0 <= frames[-1].age < 1


def test_no_picture_comes_before_it_is_due(tmp_path: Path) -> None:
    source = ImageFiles(str(write_pictures(tmp_path, 2)), asked(0.5), loop=True)
    source.open()
    read(source)
    assert source.read(timeout=0.01) is None


def test_a_recording_of_pictures_ends_where_it_is_not_to_start_again(tmp_path: Path) -> None:
    source = ImageFiles(str(write_pictures(tmp_path, 1) / "*.png"), asked(RATE), loop=False)
    source.open()
    read(source)
    with pytest.raises(RecordingEndedError, match="all 1 pictures were shown"):
        read(source)


def test_a_folder_that_disappears_is_a_camera_lost(tmp_path: Path) -> None:
    source = ImageFiles(str(write_pictures(tmp_path / "pictures", 2)), asked(RATE), loop=True)
    source.open()
    shutil.rmtree(tmp_path / "pictures")
    with pytest.raises(CameraLostError, match="Put the file back"):
        read(source)
    source.close()
    with pytest.raises(CameraError, match="there is no picture"):
        source.open()


@pytest.mark.parametrize(
    ("mode", "size", "reason"),
    [("L", (WIDTH, HEIGHT), "pixels are L, not rgb8"), ("RGB", (32, 32), "pictures are 32x32, not 64x48. Set width")],
)
def test_a_picture_of_another_kind_is_refused(tmp_path: Path, mode: str, size: tuple[int, int], reason: str) -> None:
    Image.new(mode, size).save(tmp_path / "a.png")
    source = ImageFiles(str(tmp_path), asked(RATE), loop=True)
    source.open()
    with pytest.raises(CameraError, match=reason):
        read(source)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    source = ImageFiles(str(tmp_path), asked(RATE), loop=True)
    source.open()
    with pytest.raises(CameraError, match="a.png: this is not a picture"):
        read(source)


def test_a_video_is_played_in_colour_and_starts_again(tmp_path: Path) -> None:
    source = VideoFile(str(write_video(tmp_path / "a.mkv", [40, 90, 140])), asked(RATE), loop=True)
    source.open()
    frames = [read(source) for _ in range(5)]
    for frame, shade in zip(frames, [40, 90, 140, 40, 90], strict=True):
        assert np.abs(frame.pixels.astype(int) - picture(shade)).max() <= 4
    source.close()


def test_a_video_that_is_not_to_start_again_ends(tmp_path: Path) -> None:
    source = VideoFile(str(write_video(tmp_path / "a.mkv", [40])), asked(RATE), loop=False)
    source.open()
    read(source)
    with pytest.raises(RecordingEndedError, match="played to its end"):
        read(source)


def test_a_video_of_another_size_rate_or_without_colour_is_refused(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "a.mkv", [40, 90]))
    with pytest.raises(CameraError, match="pictures are 64x48, not 640x480. Set width and height"):
        VideoFile(path, asked(RATE, 640, 480), loop=True).open()
    with pytest.raises(CameraError, match="200 pictures per second, not 60. Set rate"):
        VideoFile(path, asked(60.0), loop=True).open()
    grey = str(write_video(tmp_path / "grey.mkv", [40, 90], "gray"))
    with pytest.raises(CameraError, match="no colour"):
        VideoFile(grey, asked(RATE), loop=True).open()


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("text")
    for name in ("a.mkv", "missing.mkv"):
        with pytest.raises(CameraError, match=f"{name}: .* Set device to a video file"):
            VideoFile(str(tmp_path / name), asked(RATE), loop=True).open()


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("/dev/video63", "there is no such device. Plug the camera in"),
        (__file__, "this is not a device. Set source to images or video"),
        ("/dev/null", "it does not open as a camera"),
    ],
)
def test_a_device_that_is_no_camera_is_refused(device: str, reason: str) -> None:
    if device == "/dev/null":
        pytest.importorskip("cv2", reason="needs OpenCV")
    camera = V4l2Camera(device, asked())
    with pytest.raises(CameraError, match=f"{device}: {reason}"):
        camera.open()
    camera.close()


@pytest.mark.parametrize("given", ["GREY", "Z16 "])
def test_a_camera_without_colour_is_refused(given: str) -> None:
    code = float(int.from_bytes(given.encode(), "little"))
    with pytest.raises(CameraError, match=f"pictures are {given.strip()}, without colour"):
        v4l2.check_pixel_format(v4l2.four_letters(code), "", "/dev/video0", "Choose another.")


def test_a_camera_that_does_not_take_the_pixel_format_is_refused() -> None:
    v4l2.check_pixel_format("MJPG", "MJPG", "/dev/video0", "")
    with pytest.raises(CameraError, match="pictures are YUYV, not MJPG. Choose"):
        v4l2.check_pixel_format("YUYV", "MJPG", "/dev/video0", "Choose another.")


def test_opencv_pictures_become_rgb_and_others_are_refused() -> None:
    pytest.importorskip("cv2", reason="needs OpenCV")
    assert np.array_equal(v4l2.rgb(np.ascontiguousarray(picture(40)[..., ::-1]), "/dev/video0"), picture(40))
    with pytest.raises(CameraError, match="not colour"):
        v4l2.rgb(np.zeros((4, 4), dtype=np.uint16), "/dev/video0")


def test_a_camera_read_through_opencv_gives_rgb_and_is_lost_after_three_failures(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV")
    path = str(write_video(tmp_path / "a.mkv", [40]))
    camera = V4l2Camera(path, asked())
    camera._capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)  # stands in for a device; grabbing is the same
    frame = read(camera)
    assert np.abs(frame.pixels.astype(int) - picture(40)).max() <= 4
    assert 0 <= frame.age < 1
    assert camera.read(0.1) is camera.read(0.1) is None
    with pytest.raises(CameraLostError, match="it gives no pictures. Check its cable"):
        camera.read(0.1)
    Path(path).unlink()
    with pytest.raises(CameraLostError, match="it is unplugged"):
        camera.read(0.1)
    camera.close()


@pytest.mark.skipif(importlib.util.find_spec("pyrealsense2") is not None, reason="pyrealsense2 is installed")
def test_a_realsense_without_its_library_says_what_to_install() -> None:
    with pytest.raises(CameraError, match="pip install pyrealsense2"):
        RealSenseCamera("_123", asked()).open()
