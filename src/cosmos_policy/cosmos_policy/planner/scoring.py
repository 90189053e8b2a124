"""Have all candidates valued by the scorers, and choose one."""

from __future__ import annotations

import time

import numpy as np
from rclpy.client import Client
from rclpy.task import Future

from cosmos_policy.planner.report import Scoring, merge_stages
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd
from cosmos_policy_core.errors import ModelError
from cosmos_policy_core.planning.best_of_n import choose
from cosmos_policy_msgs.msg import ActionChunk, Observation, ScoredChunk
from cosmos_policy_msgs.srv import ScoreChunks


class Scorers:
    """Ask all scorers at the same time, each for its share of the candidates."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._links = session.links
        self._settings = session.settings
        self._absent: set[Client] = set()

    async def meet(self) -> None:
        """Wait for the scorers; one that is not there costs nothing but its help, as long as there is another."""
        problems: list[str] = []
        for client in self._links.scorers:
            if client in self._absent and not client.service_is_ready():
                continue
            try:
                await self._session.meet(client, ScoreChunks.Request(), Result.SCORING_FAILED)
                self._absent.discard(client)
            except TaskEnd as end:
                if end.termination != Result.SCORING_FAILED:
                    raise
                self._absent.add(client)
                problems.append(str(end))
                self._links.node.get_logger().warning(f"going on without a scorer: {end}")
        if len(self._absent) == len(self._links.scorers):
            raise TaskEnd(Result.SCORING_FAILED, " ".join(problems) or "no scorer is there any more.")

    async def score(self, observation: Observation, chunks: list[ActionChunk]) -> tuple[Scoring, int, float]:
        """Share the candidates among the scorers; one that fails costs its share, not the task.

        Returns:
            All scores, the chosen candidate, and the wall time of the decision itself [s].

        Raises:
            TaskEnd: no scorer valued its share, or the task was interrupted.
        """
        self._session.show(Feedback.SCORING)
        clients = [client for client in self._links.scorers if client not in self._absent]
        shares = [[int(k) for k in share] for share in np.array_split(range(len(chunks)), len(clients))]
        tasks = [
            (share, self._start(client, observation, [chunks[k] for k in share]))
            for client, share in zip(clients, shares, strict=True)
            if share
        ]
        # Every task checks for interruptions and has its own time-out, so this wait ends.
        await self._links.pulse.until(lambda: all(task.done() for _, task in tasks), float("inf"))
        answers: list[tuple[list[int], ScoreChunks.Response]] = []
        problems: list[str] = []
        for share, task in tasks:
            answer = task.result()
            if not isinstance(answer, TaskEnd):
                answers.append((share, answer))
            elif answer.termination == Result.SCORING_FAILED:
                problems.append(str(answer))
            else:
                raise answer
        return self._decide(chunks, answers, problems)

    def _start(self, client: Client, observation: Observation, chunks: list[ActionChunk]) -> Future:
        """Begin a share; the executor runs it beside the others. It must not raise: that would end the executor."""

        async def share() -> ScoreChunks.Response | TaskEnd:
            try:
                return await self._score_share(client, observation, chunks)
            except TaskEnd as end:
                return end

        task = self._links.node.executor.create_task(share)
        task.add_done_callback(self._links.pulse.wake)
        return task

    async def _score_share(
        self, client: Client, observation: Observation, chunks: list[ActionChunk]
    ) -> ScoreChunks.Response:
        request = ScoreChunks.Request(
            observation=observation,
            chunks=chunks,
            futures=self._settings.futures,
            values=self._settings.values,
            future_steps=self._settings.future_steps,
            value_steps=self._settings.value_steps,
            with_images=self._settings.imagined_images,
        )
        response = await self._session.ask(
            client, request, Feedback.SCORING, self._settings.scoring_timeout, Result.SCORING_FAILED
        )
        if response.status != ScoreChunks.Response.OK:
            raise TaskEnd(Result.SCORING_FAILED, f"{client.srv_name}: {response.message}")
        wanted = self._settings.futures * self._settings.values
        if len(response.scores) != len(chunks) or any(len(score.values) != wanted for score in response.scores):
            raise TaskEnd(
                Result.SCORING_FAILED,
                f"{client.srv_name}: the answer does not hold {wanted} values for each of {len(chunks)} chunk(s). "
                "Run matching versions.",
            )
        return response

    def _decide(
        self, chunks: list[ActionChunk], answers: list[tuple[list[int], ScoreChunks.Response]], problems: list[str]
    ) -> tuple[Scoring, int, float]:
        began = time.perf_counter()
        for problem in problems:
            self._links.node.get_logger().warning(f"a scorer failed; its candidates cannot be chosen: {problem}")
        shape = (self._settings.futures, self._settings.values)
        values = np.full((len(chunks), *shape), np.nan)
        scores = [ScoredChunk(candidate_id=chunk.candidate_id, seed=chunk.seed) for chunk in chunks]
        images = {}
        for share, answer in answers:
            cameras = len(answer.images) // len(share)
            for place, k in enumerate(share):
                scores[k] = answer.scores[place]
                values[k] = np.asarray(scores[k].values, dtype=np.float64).reshape(shape)
                images[k] = answer.images[place * cameras : (place + 1) * cameras]
        try:
            decision = choose(values, self._settings.aggregation)
        except ModelError as error:
            raise TaskEnd(Result.SCORING_FAILED, " ".join(problems) or str(error)) from error
        scoring = Scoring(
            scores=tuple(scores),
            values=tuple(decision.candidate_values.tolist()),
            stages=tuple(merge_stages([stage for _, answer in answers for stage in answer.stages])),
            images=images,
            checkpoint_id=answers[0][1].checkpoint_id,
        )
        return scoring, decision.index, time.perf_counter() - began
