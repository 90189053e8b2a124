"""What a recording says about itself, as plain text in the bag's own metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cosmos_policy_core.errors import EpisodeError

EVENTS_TOPIC = "/episode_events"  # EpisodeEvent, latched: the same facts as messages of the recording

VERDICT = ("success", "success_score", "judge")  # what a label writes
TRANSPORT, WRITER = "transport", "writer"  # where messages get lost: on the way to the recorder, or in it


@dataclass(frozen=True)
class Outcome:
    """What came of an episode. `score` is partial credit in [0, 1] on an absolute scale; `judge` says who knew."""

    success: bool
    score: float
    judge: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.score) and 0.0 <= self.score <= 1.0):
            raise EpisodeError(f"a success score of {self.score} cannot be. Give a number from 0 to 1.")

    @classmethod
    def of(cls, success: bool, score: float, judge: str) -> Outcome:
        """Make an outcome; a score that is not a number is the one of the verdict, 1 or 0."""
        return cls(success, float(success) if math.isnan(score) else float(score), judge)

    @classmethod
    def judged(cls, success: bool, score: float, judge: str) -> Outcome:
        """Make an outcome as :meth:`of` does, of a verdict that is given now.

        Raises:
            EpisodeError: the score contradicts the verdict, or is outside 0..1.
        """
        outcome = cls.of(success, score, judge)
        if outcome.success != (outcome.score == 1.0):
            word, rule = ("success", "is 1") if success else ("failure", "is below 1")
            raise EpisodeError(
                f"a {word} with a score of {outcome.score:g} contradicts itself: the score of a {word} {rule}. Give "
                "the other verdict, or leave the score out."
            )
        return outcome


@dataclass(frozen=True)
class EpisodeRecord:
    """Everything about an episode that is not a message: stored as text under `custom_data` of a bag's metadata.yaml.

    `lost` counts messages per topic, and there per way of getting lost: TRANSPORT, WRITER.
    """

    episode_id: str
    contract: str = ""
    instruction: str = ""
    operator: str = ""
    policy_checkpoint: str = ""
    planning_checkpoint: str = ""
    started: str = ""
    comment: str = ""
    seed: int = 0
    made_of: str = ""  # file of another layout that was converted; empty for recordings
    made_of_version: str = ""  # which version of that file
    outcome: Outcome | None = None
    lost: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def labelled(self, outcome: Outcome, comment: str = "") -> EpisodeRecord:
        """Copy with a verdict; an empty comment keeps the old one."""
        return replace(self, outcome=outcome, comment=comment or self.comment)

    def with_losses(self, kind: str, counts: Mapping[str, int]) -> EpisodeRecord:
        """Copy with the messages per topic that were lost in one way, `transport` or `writer`; zeros are left out."""
        merged = {topic: {k: v for k, v in ways.items() if k != kind} for topic, ways in self.lost.items()}
        for topic, count in counts.items():
            if count:
                merged.setdefault(topic, {})[kind] = count
        return replace(self, lost={topic: ways for topic, ways in sorted(merged.items()) if ways})

    def custom_data(self) -> dict[str, str]:
        """Write everything as text."""
        outcome = self.outcome
        return {
            "episode_id": self.episode_id,
            "instruction": self.instruction,
            "operator": self.operator,
            "success": "" if outcome is None else str(outcome.success).lower(),
            "success_score": "" if outcome is None else repr(outcome.score),
            "judge": "" if outcome is None else outcome.judge,
            "comment": self.comment,
            "seed": str(self.seed),
            "made_of": self.made_of,
            "made_of_version": self.made_of_version,
            "started": self.started,
            "policy_checkpoint": self.policy_checkpoint,
            "planning_checkpoint": self.planning_checkpoint,
            "lost": json.dumps({topic: dict(counts) for topic, counts in self.lost.items()}),
            "contract": self.contract,
        }

    @classmethod
    def from_custom_data(cls, data: Mapping[str, str], where: str) -> EpisodeRecord:
        """Read it back.

        Raises:
            EpisodeError: a label or count is not what :meth:`custom_data` writes; names `where`.
        """
        texts = (
            "contract",
            "instruction",
            "operator",
            "policy_checkpoint",
            "planning_checkpoint",
            "started",
            "comment",
            "made_of",
            "made_of_version",
        )
        try:
            return cls(
                episode_id=data.get("episode_id", ""),
                **{name: str(data.get(name, "")) for name in texts},
                seed=int(data.get("seed") or 0),
                outcome=_outcome(data, where),
                lost=json.loads(data.get("lost") or "{}"),
            )
        except (ValueError, TypeError) as error:
            raise EpisodeError(
                f"{where}: what the recording says about itself cannot be read ({error}). Correct 'seed' or 'lost' in "
                "its metadata.yaml, or leave it out."
            ) from None


def _outcome(data: Mapping[str, str], where: str) -> Outcome | None:
    word = data.get("success", "")
    if word == "":
        return None
    try:
        if word not in ("true", "false"):
            raise ValueError(f"success is {word!r}, not true or false")
        score = data.get("success_score", "")
        return Outcome.of(word == "true", float(score) if score else math.nan, data.get("judge", ""))
    except (ValueError, EpisodeError) as error:
        raise EpisodeError(
            f"{where}: its label cannot be read ({error}). "
            f"Label it again with `cosmos-policy label {where} --success` or --failure."
        ) from None
