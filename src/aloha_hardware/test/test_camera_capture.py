"""The thread of a camera: newest wins, nothing blocks, a lost camera comes back, a frozen one is found out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from camera_kit import HandDrivenCamera, asked, picture, wait

from aloha_hardware.camera.capture import Backoff, Capture
from aloha_hardware.camera.errors import CameraError
from aloha_hardware.camera.health import Level, Limits
from aloha_hardware.camera.source import Frame

LIMITS = Limits(rate=50.0, stale_after=0.2, late_after=0.08)


@pytest.fixture
def camera() -> HandDrivenCamera:
    camera = HandDrivenCamera()
    camera.show(0)
    return camera


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def capture(camera: HandDrivenCamera, said: list[str]) -> Iterator[Capture]:
    capture = Capture(camera, asked(), backoff=Backoff(0.02, 0.08), say=said.append)
    capture.start(timeout=5.0)
    capture.newest.open()
    yield capture
    capture.stop()


def shade(frame: Frame | None) -> int | None:
    return None if frame is None else int(frame.pixels[0, 0, 0])


def captured(capture: Capture, count: int) -> None:
    wait(lambda: capture.health.report().captured >= count, f"{count} pictures")


def test_the_newest_picture_replaces_those_nobody_took(camera: HandDrivenCamera, capture: Capture) -> None:
    camera.show(1, 2, 3)
    captured(capture, 3)
    assert shade(capture.newest.take(1.0)) == 3
    assert capture.newest.take(0.0) is None
    assert capture.health.report().dropped == 2


def test_pictures_from_before_anyone_wanted_them_are_not_handed_out(camera: HandDrivenCamera, capture: Capture) -> None:
    capture.newest.close()
    camera.show(1, 2)
    captured(capture, 2)
    capture.newest.open()
    assert capture.newest.take(0.0) is None
    assert capture.health.report().dropped == 0


def test_waiting_for_a_picture_ends_when_nobody_wants_it_any_more(capture: Capture) -> None:
    taken: list[Frame | None] = []
    waiting = threading.Thread(target=lambda: taken.append(capture.newest.take(60.0)))
    waiting.start()
    capture.newest.close()
    waiting.join(timeout=5.0)
    assert taken == [None]


def test_the_same_picture_again_is_not_handed_out_and_then_stale(camera: HandDrivenCamera, capture: Capture) -> None:
    camera.show(1)
    assert shade(capture.newest.take(5.0)) == 1
    camera.show(1, 1, 1)
    wait(lambda: capture.health.report().repeated == 3, "three repeats")
    assert capture.newest.take(0.0) is None
    level, sentence = wait(
        lambda: (v := capture.health.report().judge(LIMITS, active=True))[0] is Level.STALE and v, "a stale camera"
    )
    assert level is Level.STALE and "the same picture again and again" in sentence
    camera.show(2)
    assert shade(capture.newest.take(5.0)) == 2
    assert capture.health.report().judge(LIMITS, active=True)[0] is not Level.STALE


def test_a_camera_without_pictures_is_stale(capture: Capture) -> None:
    verdict = wait(
        lambda: (v := capture.health.report().judge(LIMITS, active=True))[0] is Level.STALE and v, "a stale camera"
    )
    assert "no picture for" in verdict[1]


def test_repeats_are_pictures_where_they_are_accepted(camera: HandDrivenCamera) -> None:
    capture = Capture(camera, asked(), accept_repeats=True)
    capture.start(timeout=5.0)
    camera.show(1, 1, 1)
    captured(capture, 3)
    capture.stop()


def test_a_lost_camera_is_opened_again_after_growing_waits(
    camera: HandDrivenCamera, capture: Capture, said: list[str]
) -> None:
    camera.unplug()
    wait(lambda: len(camera.opened) >= 5, "four attempts to open it again")
    waits = [later - earlier for earlier, later in itertools.pairwise(camera.opened[1:])]
    assert waits[0] >= 0.04 and waits[1] >= 0.08
    level, sentence = capture.health.report().judge(LIMITS, active=True)
    assert level is Level.ERROR and "not there. Plug it in. Tried again" in sentence
    camera.plugged = True
    camera.show(7)
    assert shade(capture.newest.take(5.0)) == 7
    report = capture.health.report()
    assert (report.problem, report.reconnects) == ("", 1)
    assert len(said) == 2 and said[0] == "unplugged. Plug it in." and "are back after" in said[1]


def test_another_camera_at_the_same_place_is_not_taken_for_the_first(
    camera: HandDrivenCamera, capture: Capture
) -> None:
    camera.pictures.put(picture(9)[:16, :16])
    wait(lambda: "16x16, not 64x48. Is it another camera?" in capture.health.report().problem, "the refusal")
    assert capture.newest.take(0.0) is None


def test_a_camera_that_gives_no_first_picture_is_refused() -> None:
    capture = Capture(HandDrivenCamera(), asked())
    with pytest.raises(CameraError, match="gave no picture in 0.2 s"):
        capture.start(timeout=0.2)


def test_a_hanging_driver_blocks_neither_another_camera_nor_the_end(
    capture: Capture, camera: HandDrivenCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aloha_hardware.camera.capture.SECONDS_TO_STOP", 0.2)
    release = threading.Event()

    class Hanging(HandDrivenCamera):
        def read(self, timeout: float) -> Frame | None:
            if self.pictures.empty():
                release.wait()
            return super().read(timeout)

    stuck = Hanging()
    stuck.show(0)
    hanging = Capture(stuck, asked())
    hanging.start(timeout=5.0)
    camera.show(5)
    assert shade(capture.newest.take(5.0)) == 5
    begin = time.monotonic()
    hanging.stop()
    assert time.monotonic() - begin < 2.0
    release.set()


def test_a_late_or_slow_camera_is_worth_a_warning(camera: HandDrivenCamera, capture: Capture) -> None:
    camera.show(1)
    captured(capture, 1)
    assert capture.health.report().judge(LIMITS, active=True)[1].startswith("slow")
    capture.health.published(age=0.3)
    level, sentence = capture.health.report().judge(LIMITS, active=True)
    assert level is Level.WARN and "up to 0.300 s old" in sentence
