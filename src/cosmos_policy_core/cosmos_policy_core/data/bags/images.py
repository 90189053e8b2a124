"""Camera images inside a bag, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.bags.reading import Bag, Message
from cosmos_policy_core.data.bags.streams import Times
from cosmos_policy_core.data.episode import image_sizes
from cosmos_policy_core.data.messages import image_array, image_problem
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

COMPRESSED = "sensor_msgs/msg/CompressedImage"
Picture = NDArray[np.uint8]


class BagImages:
    """The images of one camera at the steps of an episode; upright, otherwise as acquired. Picklable.

    Args:
        places: (L,) which message of the topic each step shows.
        received: when every message of the topic was received [ns].
    """

    def __init__(
        self, path: Path, topic: str, camera: Camera, contract: Embodiment, places: Times, received: Times
    ) -> None:
        self._path, self._topic, self._camera = path, topic, camera
        self._places, self._received = places, received
        self._sizes = image_sizes(camera, contract)
        self._flip = contract.images.flip_vertical
        self.where = f"{path}: {topic}"

    def __len__(self) -> int:
        return len(self._places)

    def read(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Yield (H, W, 3) RGB images; steps in ascending order cost one pass over their part of the bag."""
        with Bag(self._path) as bag:
            messages: Iterator[Message] = iter(())
            reached, picture = -1, None
            for index in indices:
                place = int(self._places[index])
                if picture is None or place < reached:
                    messages = bag.messages([self._topic], start=int(self._received[place]))
                    reached = int(np.searchsorted(self._received, self._received[place])) - 1
                    picture = None
                if picture is None or place > reached:
                    picture = self._decode(bag, self._skip(messages, place - reached), index)
                    reached = place
                yield picture

    def _skip(self, messages: Iterator[Message], count: int) -> Message:
        for _ in range(count - 1):
            next(messages, None)
        message = next(messages, None)
        if message is None:
            raise EpisodeError(f"{self.where}: ends early. Record the episode again.")
        return message

    def _decode(self, bag: Bag, message: Message, step: int) -> Picture:
        decoded, where = bag.decode(message), f"{self.where}[{step}]"
        picture = self._unpack(decoded, bag.types[self._topic], where)
        return np.ascontiguousarray(picture[::-1]) if self._flip else picture

    def _unpack(self, decoded: Any, kind: str, where: str) -> Picture:
        camera = self._camera
        if kind == COMPRESSED:
            picture = jpeg.decode(bytes(decoded.data), where)
            if picture.shape[1::-1] not in self._sizes:
                found = f"size is {picture.shape[1]}x{picture.shape[0]}, not {camera.width}x{camera.height}"
                raise EpisodeError(f"{where}: {found}. Use the contract it was recorded under.")
            return picture
        problem = image_problem(decoded, camera.width, camera.height, camera.encoding)
        if problem is not None:
            raise EpisodeError(f"{where}: {problem}. Use the contract it was recorded under.")
        return image_array(decoded)
