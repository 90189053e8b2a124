"""Record cameras and joints of a running graph: a video, and the joints' traces."""

from __future__ import annotations

import queue
import threading
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState

from aloha_nodes.qos import REPORTS, SENSOR_DATA
from cosmos_policy.demo.frames import SIZE, compose
from cosmos_policy.demo.history import History
from cosmos_policy.errors import DemoError
from cosmos_policy.messages import image_array, seconds
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ObservationError
from cosmos_policy_msgs.msg import PlanReport

LEADING = "cam_high"  # its frames are the video's frames
STILL_RATE = 5.0  # [1/s], frames while no chunk runs: the arms stand still, and the policy needs the processor


class Recorder:
    """Follow the graph from the first frame to `close`.

    ROS callbacks only queue bytes; decoding, drawing and encoding happen in a thread of their own.
    """

    def __init__(self, node: Node, contract: Embodiment, history: History, path: Path, title: str) -> None:
        self.frames = 0
        self._contract, self._history, self._title = contract, history, title
        self._queue: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._images: dict[str, NDArray[np.uint8]] = {}
        self._joints: dict[str, JointState] = {}
        self._begin: float | None = None
        self._last = -1
        self._failure: Exception | None = None
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=round(contract.cameras[0].rate))
        self._stream.width, self._stream.height = SIZE
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": "veryfast", "crf": "23"}
        self._stream.codec_context.thread_count = 1
        self._topics = {camera.topic: camera.name for camera in contract.cameras}
        for camera in contract.cameras:
            take = partial(self._take_image, camera.name)
            node.create_subscription(Image, camera.topic, take, SENSOR_DATA, raw=True)
        for arm in contract.arms:
            node.create_subscription(JointState, arm.state_topic, partial(self._take_state, arm.name), SENSOR_DATA)
        node.create_subscription(PlanReport, "/plan_report", history.take_report, REPORTS)
        self._worker = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Write what is queued and finish the file."""
        self._queue.put(None)
        self._worker.join()
        if self.frames:
            self._container.mux(self._stream.encode())
        self._container.close()
        if self._failure is not None:
            raise DemoError(f"the video could not be written ({self._failure}). Is the disk full?") from self._failure

    def _take_image(self, camera: str, data: bytes) -> None:
        self._queue.put((camera, data))

    def _take_state(self, arm: str, message: JointState) -> None:
        self._joints[arm] = message
        if arm != self._contract.arms[-1].name:
            return
        states = {name: dict(zip(state.name, state.position, strict=False)) for name, state in self._joints.items()}
        try:
            proprio = self._contract.proprio_from_states(states)
        except ObservationError:  # the other arm has not spoken yet
            return
        self._history.states.append((seconds(message.header.stamp), proprio))

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._failure is not None:
                continue  # keep the queue short until the end
            try:
                self._add(*item)
            except (av.FFmpegError, OSError, ValueError) as error:
                self._failure = error

    def _add(self, camera: str, data: bytes) -> None:
        message = deserialize_message(data, Image)
        self._images[camera] = image_array(message)
        if camera == LEADING:
            self._add_frame(seconds(message.header.stamp))

    def _add_frame(self, stamp: float) -> None:
        if self._begin is None:
            self._begin = stamp
        # Numbered by time, not by arrival: a frame that got lost leaves a longer one, not a faster video.
        history, rate = self._history, self._contract.cameras[0].rate
        number = round((stamp - self._begin) * rate)
        step = 1 if history.steps else round(rate / STILL_RATE)
        if self.frames and number < self._last + step:
            return
        names = self._contract.camera_names
        status = f"{stamp - self._begin:5.1f} s   {history.phase_name}"
        if history.steps and history.phase_name == "executing":
            status += f"   step {history.step + 1} of {history.steps}"
        picture = compose(self._images, history.plan, names.index(LEADING), self._title, status)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, round(rate))
        self._container.mux(self._stream.encode(frame))
        self._last = number
        self.frames += 1
