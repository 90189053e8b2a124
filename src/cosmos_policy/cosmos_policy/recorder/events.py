"""Say on the graph, and in the bag, what happens to an episode."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time

from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_msgs.msg import EpisodeEvent


def event_message(event: int, record: EpisodeRecord, embodiment: str, stamp: Time) -> EpisodeEvent:
    """Describe an episode at a moment of its life; `event` is a constant of EpisodeEvent."""
    outcome = record.outcome
    message = EpisodeEvent(
        event=event,
        episode_id=record.episode_id,
        instruction=record.instruction,
        operator_name=record.operator,
        success=outcome is not None and outcome.success,
        success_score=math.nan if outcome is None else outcome.score,
        policy_checkpoint=record.policy_checkpoint,
        planning_checkpoint=record.planning_checkpoint,
        contract_yaml=record.contract,
        comment=record.comment,
    )
    message.header.stamp, message.header.frame_id = stamp, embodiment
    return message
