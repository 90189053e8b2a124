"""One plan: observe, propose, score, choose, report."""

from __future__ import annotations

import time

import numpy as np
from rclpy.time import Time

from cosmos_policy.errors import ObservationUnavailable
from cosmos_policy.messages import stage_message
from cosmos_policy.planner.report import Scoring, merge_stages, plan_report
from cosmos_policy.planner.scoring import Scorers
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd
from cosmos_policy_msgs.msg import ActionChunk, Observation, StageTime
from cosmos_policy_msgs.srv import ProposeChunks

PATIENCE = 0.5  # [s] before the client hears what is missing; a frame is due within a period or two


def proposal_seeds(base: int, plan_index: int, n: int) -> list[int]:
    """Draw distinct, reproducible 32-bit seeds for the candidates of one plan."""
    drawn = np.random.SeedSequence((base, plan_index)).generate_state(4 * n + 4, np.uint32)
    return [int(seed) for seed in dict.fromkeys(drawn.tolist())][:n]


class Planning:
    """Make plans for a task while the arms rest."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._links = session.links
        self._settings = session.settings
        self._scorers = Scorers(session)

    async def run(self, plan_index: int, at_rest: Time) -> ActionChunk:
        """Observe, propose, choose and report; images must be younger than `at_rest`.

        Raises:
            TaskEnd: when no plan can be made.
        """
        feedback = self._session.feedback
        feedback.plan_index, feedback.candidate_values = plan_index, []
        await self._meet()
        began = time.perf_counter()
        observation = await self._observe(at_rest)
        observed = time.perf_counter() - began
        proposal = await self._propose(observation, plan_index)
        chunks = list(proposal.chunks)
        scoring, chosen, decided = Scoring(), 0, 0.0
        if self._settings.planner == "best_of_n":
            scoring, chosen, decided = await self._scorers.score(observation, chunks)
        stages = [
            stage_message(StageTime.OBSERVE, observed),
            *merge_stages([*proposal.stages, *scoring.stages]),
            stage_message(StageTime.DECIDE, decided),
        ]
        stamp = self._links.node.get_clock().now().to_msg()
        report = plan_report(
            self._settings, observation, chunks, chosen, scoring, stages, plan_index=plan_index, stamp=stamp
        )
        self._links.publish_report(report)
        feedback.candidate_values, feedback.chosen = report.candidate_values, report.chosen
        return chunks[chosen]

    async def _meet(self) -> None:
        """Wait for all servers before observing, so that what is planned on is fresh."""
        await self._session.meet(self._links.policy, ProposeChunks.Request(n=0), Result.POLICY_FAILED)
        if self._settings.planner == "best_of_n":
            await self._scorers.meet()
        await self._session.server(self._links.executor.server_is_ready, "/execute_chunk", Result.EXECUTION_FAILED)

    async def _observe(self, at_rest: Time) -> Observation:
        self._session.show(Feedback.OBSERVING)
        taken: list[Observation] = []
        began, reason = time.monotonic(), ""

        def try_to_take() -> bool:
            nonlocal reason
            now = self._links.node.get_clock().now()
            try:
                taken.append(self._links.observations.take(self._session.request.instruction, now, since=at_rest))
            except ObservationUnavailable as missing:
                reason = str(missing)
                if time.monotonic() - began > PATIENCE:
                    self._session.wait_for(reason)
            return bool(taken)

        limit = self._settings.observation_timeout
        if await self._links.pulse.until(try_to_take, limit, self._session.check):
            return taken[0]
        raise TaskEnd(Result.NO_OBSERVATION, f"no observation within {limit} s: {reason}")

    async def _propose(self, observation: Observation, plan_index: int) -> ProposeChunks.Response:
        n = self._settings.proposals
        request = ProposeChunks.Request(
            observation=observation,
            n=n,
            seeds=proposal_seeds(self._session.request.seed, plan_index, n),
            steps=self._settings.proposal_steps,
            with_latents=self._settings.planner == "best_of_n",
        )
        client = self._links.policy
        response: ProposeChunks.Response = await self._session.ask(
            client, request, Feedback.PROPOSING, self._settings.policy_timeout, Result.POLICY_FAILED
        )
        if response.status == ProposeChunks.Response.UNKNOWN_INSTRUCTION:
            raise TaskEnd(Result.UNKNOWN_INSTRUCTION, response.message)
        if response.status != ProposeChunks.Response.OK:
            raise TaskEnd(Result.POLICY_FAILED, f"{client.srv_name}: {response.message}")
        if len(response.chunks) != n:
            what = f"{len(response.chunks)} chunk(s) instead of {n}"
            raise TaskEnd(Result.POLICY_FAILED, f"{client.srv_name}: {what}. Run matching versions.")
        return response
