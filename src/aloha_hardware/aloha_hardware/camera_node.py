"""One camera on the graph."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from aloha_hardware.camera import messages
from aloha_hardware.camera.calibration import Calibration, load_calibration
from aloha_hardware.camera.capture import Backoff, Capture
from aloha_hardware.camera.errors import CameraError
from aloha_hardware.camera.settings import DESCRIPTIONS, RANGES, CameraSettings
from aloha_hardware.camera.source import Frame
from aloha_hardware.camera.sources import make_source
from aloha_hardware.managed_node import ManagedNode
from aloha_nodes.qos import SENSOR_DATA
from aloha_nodes.running import run

DIAGNOSTICS_PERIOD = 1.0  # s
TAKE_TIMEOUT = 0.5  # s; closing the slot ends the wait at once


class CameraNode(ManagedNode):
    """Publish one camera: a process each, so that cameras share nothing but the bus.

    Topics, best effort with depth 1, stamped with the time of acquisition:
        /<camera>/image_raw             sensor_msgs/Image, rgb8
        /<camera>/camera_info           sensor_msgs/CameraInfo
        /<camera>/image_raw/compressed  sensor_msgs/CompressedImage, encoded only while someone listens
    /diagnostics, once a second: rate, age, drops, repeats, reconnects. A frozen camera is STALE, a lost one ERROR.

    Configure opens the camera and checks its first picture; activate starts to publish. The camera has a thread of
    its own, and so has publishing: neither waits for the other.

    Parameters: see :mod:`aloha_hardware.camera.settings`.
    """

    def __init__(self, name: str = "camera", **options: Any) -> None:
        super().__init__(name, **options)
        self.settings = CameraSettings(**{field.name: self._read(field.name) for field in fields(CameraSettings)})
        self._calibration = Calibration(self.settings.width, self.settings.height)
        self._capture: Capture | None = None
        self._publishing: threading.Thread | None = None
        self._announced = False

    def configure(self) -> None:
        """Open the camera, wait for its first picture and announce the topics."""
        settings = self.settings
        if self.get_parameter("use_sim_time").value:
            raise CameraError(f"{self.get_name()}: a camera runs on the wall clock. Set use_sim_time to false.")
        settings.check()
        if settings.calibration:
            self._calibration = load_calibration(settings.calibration, settings.width, settings.height)
        self._capture = Capture(
            make_source(settings),
            settings.format,
            accept_repeats=settings.accept_repeats,
            backoff=Backoff(settings.reconnect_first, settings.reconnect_longest),
            say=lambda sentence: self.get_logger().warning(f"{settings.camera}: {sentence}"),
        )
        try:
            self._capture.start(settings.start_timeout)
        except CameraError as error:
            raise CameraError(f"{settings.camera}: {error}") from error
        if not self._announced:
            self._announce()
        origin = f"{settings.source} {settings.device}".strip()
        self.get_logger().info(f"{settings.camera}: {origin}, {settings.format}")

    def activate(self) -> None:
        """Start to publish."""
        assert self._capture is not None
        self._capture.newest.open()
        self._publishing = threading.Thread(target=self._publish_all, args=(self._capture,), name="publish")
        self._publishing.start()

    def deactivate(self) -> None:
        """Stop to publish; the camera stays open."""
        if self._capture is not None:
            self._capture.newest.close()
        if self._publishing is not None:
            self._publishing.join()
            self._publishing = None

    def cleanup(self) -> None:
        """Close the camera; its topics stay announced."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None

    def _announce(self) -> None:
        # Once and for all: to destroy a publisher while the executor waits on it ends the executor.
        self._announced = True
        self._images = self.create_publisher(Image, self.settings.topic, SENSOR_DATA)
        self._infos = self.create_publisher(CameraInfo, self.settings.info_topic, SENSOR_DATA)
        self._jpegs = self.create_publisher(CompressedImage, f"{self.settings.topic}/compressed", SENSOR_DATA)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(DIAGNOSTICS_PERIOD, self._report)

    def _publish_all(self, capture: Capture) -> None:
        info = messages.camera_info_message(self._calibration, self.settings.frame)
        try:
            while capture.newest.is_open:
                frame = capture.newest.take(TAKE_TIMEOUT)
                if frame is not None:
                    self._publish(frame, info)
                    capture.health.published(frame.age)
        except Exception:
            # A thread that ends unnoticed would leave a camera that looks well and shows nothing.
            self.get_logger().fatal(f"publishing failed through a defect of this node:\n{traceback.format_exc()}")
            capture.health.lost("publishing failed: see the log. Restart the node.")

    def _publish(self, frame: Frame, info: CameraInfo) -> None:
        # The picture's age is measured on a clock nobody sets; its stamp is on the clock everybody reads.
        stamp = (self.get_clock().now() - Duration(nanoseconds=round(frame.age * 1e9))).to_msg()
        info.header.stamp = stamp
        if self._images.get_subscription_count():
            self._images.publish(messages.image_message(frame.pixels, stamp, self.settings.frame))
        self._infos.publish(info)
        if self._jpegs.get_subscription_count():
            self._jpegs.publish(
                messages.compressed_message(frame.pixels, stamp, self.settings.frame, self.settings.jpeg_quality)
            )

    def _report(self) -> None:
        capture = self._capture
        if capture is None:
            return
        settings = self.settings
        report = capture.health.report()
        level, sentence = report.judge(settings.limits, active=capture.newest.is_open)
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        array.status = [messages.status_message(settings.camera, settings.device, report, level, sentence)]
        self._diagnostics.publish(array)

    def _read(self, name: str) -> Any:
        default = getattr(CameraSettings, name)
        # A serial number of digits alone would be read as a number.
        hint = " (quote it; a serial number begins with _)" if isinstance(default, str) else ""
        low, high = RANGES.get(name, (None, None))
        return self.declare(name, default, DESCRIPTIONS[name], minimum=low, maximum=high, hint=hint)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until Ctrl-C."""
    return run(CameraNode, args)


if __name__ == "__main__":
    sys.exit(main())
