"""Conversions between the messages of planning and the core's values."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_msgs.msg import ActionChunk, ImaginedState, PlanSettings, ScoredChunk

if TYPE_CHECKING:
    from cosmos_policy_core.planning.tree import Node

IMAGINE = {None: PlanSettings.AS_TRAINED, True: PlanSettings.ALWAYS, False: PlanSettings.NEVER}
CALIBRATED = -1.0  # threshold: below 0, the scorer's checkpoint decides


def settings_message(settings: PlannerSettings) -> PlanSettings:
    """Pack the planner's settings."""
    return PlanSettings(
        candidates=settings.n,
        futures=settings.futures,
        values=settings.values,
        aggregation=settings.aggregate,
        threshold=CALIBRATED if settings.threshold is None else settings.threshold,
        proposal_steps=settings.action_steps or 0,
        future_steps=settings.future_steps or 0,
        value_steps=settings.value_steps or 0,
        seeds=settings.seeds or "",
        retile=settings.retile,
        imagine=IMAGINE[settings.imagine],
        pruning=settings.pruning,
        depth=settings.depth,
        depth_values=settings.depth_values,
    )


def settings_of(message: PlanSettings, candidates: int) -> PlannerSettings:
    """Unpack the planner's settings.

    Raises:
        ConfigurationError: they make no sense, or come from another version.
    """
    imagine = {value: key for key, value in IMAGINE.items()}
    if message.imagine not in imagine:
        raise ConfigurationError(f"planner: imagine {message.imagine} is unknown. Run matching versions.")
    return PlannerSettings(
        n=candidates,
        futures=message.futures,
        values=message.values,
        aggregate=message.aggregation,
        threshold=None if message.threshold < 0 else message.threshold,
        action_steps=message.proposal_steps or None,
        future_steps=message.future_steps or None,
        value_steps=message.value_steps or None,
        seeds=message.seeds or None,
        retile=message.retile,
        imagine=imagine[message.imagine],
        pruning=message.pruning,
        depth=message.depth,
        depth_values=message.depth_values,
    )


def scored_message(
    chunk: ActionChunk, values: NDArray[np.floating], known: NDArray[np.bool_] | None = None
) -> ScoredChunk:
    """Pack (futures, members) values of one chunk; all count as evaluated where `known` is not given."""
    futures, members = values.shape
    known = np.ones(values.shape, dtype=bool) if known is None else known
    message = ScoredChunk(candidate_id=chunk.candidate_id, seed=chunk.seed, futures=futures, members=members)
    message.values = array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())
    message.evaluated = known.ravel().tolist()
    return message


def scored_values(message: ScoredChunk) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unpack (futures, members) values and whether each was evaluated; ValueError where the counts disagree."""
    shape = (message.futures, message.members)
    known = np.asarray(message.evaluated, dtype=bool).reshape(shape)
    return np.where(known, np.asarray(message.values, dtype=np.float64).reshape(shape), np.nan), known


def state_messages(nodes: Sequence[Node], candidate_ids: Sequence[int]) -> list[ImaginedState]:
    """Pack the states of a search; `candidate_ids` name the candidates that its nodes count."""
    return [
        ImaginedState(
            candidate_id=candidate_ids[node.candidate],
            depth=node.depth,
            parent=-1 if node.parent is None else node.parent,
            future=node.future,
            positions=node.actions.ravel().tolist() if node.depth > 1 else [],
            proprio=node.proprio.tolist(),
            values=np.asarray(node.values, dtype=np.float32).tolist(),
        )
        for node in nodes
    ]


def jpeg_message(pixels: NDArray[np.uint8], frame_id: str, stamp: Time | None = None) -> CompressedImage:
    """Turn (H, W, 3) uint8 RGB into a JPEG."""
    message = CompressedImage(format="jpeg")
    message.header.frame_id = frame_id
    if stamp is not None:
        message.header.stamp = stamp
    message.data = array.array("B", jpeg.encode(pixels))
    return message


def jpeg_array(message: CompressedImage) -> NDArray[np.uint8]:
    """Turn a JPEG into (H, W, 3) uint8 RGB; raises EpisodeError where it cannot be decoded."""
    return jpeg.decode(bytes(message.data), message.header.frame_id or "image")
