"""The value table of a plan, put together from what scorers answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos_policy.plan_messages import scored_values
from cosmos_policy_core.planning.best_of_n import Decision, choose_so_far
from cosmos_policy_core.planning.pruning import contenders
from cosmos_policy_msgs.msg import ActionChunk, ScoredChunk
from cosmos_policy_msgs.srv import ScoreChunks

Table = NDArray[np.float64]


class BadAnswer(Exception):
    """An answer that cannot be used; says why and what to do."""


class ValueTable:
    """Values of all candidates, cell by cell.

    The same cell is the same number whoever predicts it: noise follows from candidate seed, stage and member.
    """

    def __init__(self, chunks: Sequence[ActionChunk], scheme: str, futures: int, members: int) -> None:
        self._chunks, self._scheme, self._members = chunks, scheme, members
        self._values: Table | None = None
        self._known = np.zeros((len(chunks), futures, members), dtype=bool)
        self._answered = np.zeros(len(chunks), dtype=bool)
        self.threshold = 0.0

    @property
    def missing(self) -> list[int]:
        """Candidates about which nobody has answered yet."""
        return [int(k) for k in np.flatnonzero(~self._answered)]

    @property
    def values(self) -> Table:
        """(n, futures, members), NaN where not evaluated; leaves of a search instead of futures."""
        return np.full(self._known.shape, np.nan) if self._values is None else self._values

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n, futures, members)."""
        return self._known

    def add(self, share: Sequence[int], answer: ScoreChunks.Response) -> None:
        """Take the answer to a share of the candidates.

        Raises:
            BadAnswer: it does not answer what was asked, or holds what is no value. Nothing of it is taken.
        """
        rows = [self._row(k, score) for k, score in zip(share, answer.scores, strict=False)]
        if len(answer.scores) != len(share):
            raise BadAnswer(
                f"the answer is about {len(answer.scores)} chunk(s) instead of {len(share)}. Run matching versions."
            )
        shapes = {values.shape for values, _ in rows} | ({self._known.shape[1:]} if self._values is not None else set())
        if len(shapes) != 1 or next(iter(shapes))[1] != self._members:
            raise BadAnswer(
                f"tables of values have shapes {sorted(shapes)} with {self._members} value(s) asked for. "
                "Run matching versions."
            )
        if self._values is not None and self.threshold != answer.threshold:
            raise BadAnswer(
                f"its success threshold is {answer.threshold:g}, another scorer's {self.threshold:g}. "
                "Start all scorers with the same checkpoint."
            )
        self._take(share, rows, float(answer.threshold))

    def decide(self) -> tuple[Decision, bool]:
        """Choose with what is known; also tell whether that is the choice all values lead to.

        Raises:
            ModelError: every candidate failed.
        """
        n = len(self._chunks)
        decision = choose_so_far(self.values, self._known, self._scheme, self.threshold)
        able = contenders(self.values.reshape(n, -1), self._known.reshape(n, -1), self._scheme, self.threshold)
        return decision, int(able.sum()) == 1

    def _take(self, share: Sequence[int], rows: Sequence[tuple[Table, NDArray[np.bool_]]], threshold: float) -> None:
        if self._values is None:
            shape = (len(self._chunks), *rows[0][0].shape)
            self._values, self._known, self.threshold = np.full(shape, np.nan), np.zeros(shape, dtype=bool), threshold
        for k, (values, known) in zip(share, rows, strict=True):
            fresh = known & ~self._known[k]
            self._values[k][fresh] = values[fresh]
            self._known[k] |= known
            self._answered[k] = True

    def _row(self, k: int, score: ScoredChunk) -> tuple[Table, NDArray[np.bool_]]:
        chunk = self._chunks[k]
        if (score.candidate_id, score.seed) != (chunk.candidate_id, chunk.seed):
            raise BadAnswer(
                f"asked for candidate {chunk.candidate_id} of seed {chunk.seed}, answered about candidate "
                f"{score.candidate_id} of seed {score.seed}. Run matching versions."
            )
        try:
            values, known = scored_values(score)
        except ValueError as error:
            raise BadAnswer(f"candidate {chunk.candidate_id}: {error}. Run matching versions.") from error
        outside = values[known & ~np.isnan(values) & ~((values >= 0) & (values <= 1))]
        if len(outside):
            raise BadAnswer(
                f"value {outside[0]:g} of candidate {chunk.candidate_id} is outside [0, 1]. The scorer runs another "
                "version or is broken; restart it from this checkpoint."
            )
        return values, known
