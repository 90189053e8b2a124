"""Share a plan's candidates among scorers, and have the work of lost and slow ones done by the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.client import Client
from rclpy.task import Future

from cosmos_policy.planner.table import BadAnswer, ValueTable
from cosmos_policy_msgs.msg import ActionChunk, ScorerShare
from cosmos_policy_msgs.srv import ScoreChunks

SLOWNESS = 2.0  # times as long as the others took for as much: then the others do its work as well
LEAST_PATIENCE = 0.3  # [s] before anybody counts as slow

Response = ScoreChunks.Response
Ask = Callable[[Sequence[int]], Any]
"""Candidates -> the request that has them valued."""


@dataclass
class Job:
    """A share that a scorer works on, or has worked on."""

    client: Client
    share: list[int]
    future: Future
    began: float = field(default_factory=time.monotonic)
    outcome: int | None = None  # a constant of ScorerShare
    seconds: float = 0.0
    message: str = ""
    answer: Any = None

    @property
    def elapsed(self) -> float:
        """Wall time since the question [s]."""
        return time.monotonic() - self.began

    @property
    def pending(self) -> bool:
        """Whether an answer may still come."""
        return not self.future.done() and self.outcome not in (ScorerShare.LOST, ScorerShare.FAILED)

    def end(self, outcome: int, message: str = "") -> None:
        """Note how it ended."""
        self.outcome, self.seconds, self.message = outcome, self.elapsed, message


class Sharing:
    """The work of one plan.

    Shares that are valued apart lead to the same choice as all candidates together, because every scorer values the
    best of its share to the end. So a share may be given to anyone, at any time, again.

    Args:
        table: takes the answers.
        timeout: wall time of one share [s].
    """

    def __init__(
        self, clients: Sequence[Client], ask: Ask, table: ValueTable, timeout: float, on_answer: Callable[..., None]
    ) -> None:
        self._ask, self._table, self._timeout, self._on_answer = ask, table, timeout, on_answer
        self._idle = list(clients)
        self._waiting = split(table.missing, len(clients))
        self.jobs: list[Job] = []

    def advance(self) -> bool:
        """Look at answers, give out work; tell whether something changed."""
        before = [(job.outcome, job.future.done()) for job in self.jobs]
        for job in self.jobs:
            self._look_at(job)
        self._help_the_slow()
        while self._idle and self._waiting:
            self._give(self._idle.pop(0), self._waiting.pop(0))
        return before != [(job.outcome, job.future.done()) for job in self.jobs]

    @property
    def complete(self) -> bool:
        """Whether every candidate was answered for."""
        return not self._table.missing

    @property
    def stuck(self) -> bool:
        """Whether nobody is left who could answer."""
        return not self.complete and not self._idle and not any(job.pending for job in self.jobs)

    @property
    def problems(self) -> list[str]:
        """What went wrong, in the words of those who failed."""
        return [job.message for job in self.jobs if job.message]

    @property
    def unusable(self) -> list[Client]:
        """Scorers that should not be asked before they greet again."""
        late = [job.client for job in self.jobs if job.outcome == ScorerShare.LATE and job.answer is None]
        return late + [job.client for job in self.jobs if job.outcome in (ScorerShare.LOST, ScorerShare.FAILED)]

    def close(self) -> bool:
        """Give up what is unanswered; tell whether there was something."""
        left = [job for job in self.jobs if not job.future.done()]
        for job in left:
            if job.outcome is None:
                job.end(ScorerShare.CUT)
            job.client.remove_pending_request(job.future)
        return bool(left)

    def report(self, chunks: Sequence[ActionChunk]) -> list[ScorerShare]:
        """Say who was asked for what, and how that ended."""
        return [
            ScorerShare(
                scorer=job.client.srv_name.rsplit("/", 1)[0],
                candidate_ids=[chunks[k].candidate_id for k in job.share],
                seconds=job.seconds or job.elapsed,
                outcome=ScorerShare.CUT if job.outcome is None else job.outcome,
                message=job.message,
            )
            for job in self.jobs
        ]

    def _give(self, client: Client, share: list[int]) -> None:
        job = Job(client, share, client.call_async(self._ask(share)))
        job.future.add_done_callback(self._on_answer)
        self.jobs.append(job)

    def _look_at(self, job: Job) -> None:
        if job.answer is not None or job.outcome in (ScorerShare.LOST, ScorerShare.FAILED):
            return
        name = job.client.srv_name
        if job.future.done():
            self._take(job)
        elif not job.client.service_is_ready():
            self._give_up(job, ScorerShare.LOST, f"{name}: it went away while answering. Read its node's log.")
        elif job.elapsed > self._timeout:
            message = f"{name}: no answer within {self._timeout} s. Read its node's log."
            self._give_up(job, ScorerShare.FAILED, message)

    def _take(self, job: Job) -> None:
        job.answer = job.future.result()
        try:
            if job.answer.status != Response.OK:
                raise BadAnswer(job.answer.message)
            self._table.add(job.share, job.answer)
        except BadAnswer as problem:
            self._give_up(job, ScorerShare.FAILED, f"{job.client.srv_name}: {problem}")
            return
        self._idle.append(job.client)
        if job.outcome is None:  # one that was late stays so
            job.end(ScorerShare.ANSWERED)

    def _give_up(self, job: Job, outcome: int, message: str) -> None:
        redone = job.outcome == ScorerShare.LATE
        job.end(outcome, message)
        if not job.future.done():
            job.client.remove_pending_request(job.future)
        left = [k for k in job.share if k in self._table.missing]
        if left and not redone:
            self._waiting += split(left, len(self._idle))

    def _help_the_slow(self) -> None:
        """Once somebody is idle, have what takes much longer than it should done again."""
        answered = [job for job in self.jobs if job.outcome == ScorerShare.ANSWERED]
        if not self._idle or self._waiting or not answered:
            return
        pace = max(job.seconds / len(job.share) for job in answered)  # [s] per candidate
        for job in self.jobs:
            patience = max(LEAST_PATIENCE, SLOWNESS * pace * len(job.share))
            if job.outcome is None and job.elapsed > patience:
                left = [k for k in job.share if k in self._table.missing]
                message = f"{job.client.srv_name}: no answer after {job.elapsed:.2f} s, when others had answered."
                job.end(ScorerShare.LATE, message)
                self._waiting += split(left, len(self._idle))


def split(share: Sequence[int], parts: int) -> list[list[int]]:
    """Cut a share into at most `parts` about equal ones, none empty."""
    pieces = np.array_split(np.asarray(share, dtype=int), max(1, min(parts, len(share))))
    return [[int(k) for k in piece] for piece in pieces if len(piece)]
