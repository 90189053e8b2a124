"""One plan: observe, propose, score, choose, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from rclpy.time import Time

from cosmos_policy.errors import ObservationUnavailable
from cosmos_policy.messages import stage_message
from cosmos_policy.planner.crew import meet_policy, meet_scorers
from cosmos_policy.planner.report import Circumstances, Scoring, merge_stages, plan_report
from cosmos_policy.planner.scoring import score_candidates
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd
from cosmos_policy.planner.timing import PlanTime
from cosmos_policy_core.model.ensembles import candidate_seeds
from cosmos_policy_msgs.msg import ActionChunk, Observation, PlanReport, StageTime
from cosmos_policy_msgs.srv import ProposeChunks

PATIENCE = 0.5  # [s] before the client hears what is missing; a frame is due within a period or two


MODES = {"hold": PlanReport.HOLD, "overlap": PlanReport.OVERLAP, "deadline": PlanReport.DEADLINE}


class Planning:
    """Make the plans of a task, at rest or while a chunk runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._links = session.links
        self._settings = session.settings

    def run(self, plan_index: int, since: Time | None, moving: bool = False) -> ActionChunk:
        """Observe, propose, choose and report.

        Args:
            since: images must be younger; None where the arms move, and the newest are the best.
            moving: whether a chunk runs meanwhile.

        Raises:
            TaskEnd: when no plan can be made.
        """
        feedback = self._session.feedback
        feedback.plan_index, feedback.candidate_values = plan_index, []
        self._meet()
        plan_id = f"{self._links.node.get_name()}-{uuid4().hex}-{plan_index}"
        try:
            return self._plan(plan_id, plan_index, since, moving)
        except BaseException:
            self._session.cancel_plan(plan_id)
            raise

    def _plan(self, plan_id: str, plan_index: int, since: Time | None, moving: bool) -> ActionChunk:
        settings, feedback = self._settings, self._session.feedback
        began = time.perf_counter()
        observation = self._observe(since)
        plan_time = PlanTime(settings.deadline)
        observed = time.perf_counter() - began
        proposal = self._propose(observation, plan_index, plan_id, plan_time)
        chunks = list(proposal.chunks)
        scoring, chosen, decided = Scoring(), 0, 0.0
        if settings.planner == "best_of_n" and (len(chunks) > 1 or settings.proposals == 1):
            scoring, chosen, decided = score_candidates(self._session, observation, chunks, plan_id, plan_time)
        elif settings.planner == "best_of_n":  # time was up before there was anything to compare
            scoring = Scoring(completed=PlanReport.DIRECT_CHUNK)
        stages = [
            stage_message(StageTime.OBSERVE, observed),
            *merge_stages([*proposal.stages, *scoring.stages]),
            stage_message(StageTime.DECIDE, decided),
        ]
        circumstances = Circumstances(
            plan_index=plan_index,
            stamp=self._links.node.get_clock().now().to_msg(),
            mode=MODES[settings.mode] if moving else PlanReport.HOLD,
            duration=plan_time.spent,
            limit=plan_time.limit,
        )
        report = plan_report(settings, observation, chunks, chosen, scoring, stages, circumstances)
        self._links.publish_report(report)
        feedback.candidate_values, feedback.chosen = report.candidate_values, report.chosen
        return chunks[chosen]

    def _meet(self) -> None:
        """Wait for all servers before observing, so that what is planned on is fresh."""
        meet_policy(self._session)
        if self._settings.planner == "best_of_n":
            meet_scorers(self._session)
        self._session.action_server(self._links.executor, "/execute_chunk", Result.EXECUTION_FAILED)

    def _observe(self, since: Time | None) -> Observation:
        self._session.show(Feedback.OBSERVING)
        taken: list[Observation] = []
        began, reason = time.monotonic(), ""

        def try_to_take() -> bool:
            nonlocal reason
            now = self._links.node.get_clock().now()
            try:
                taken.append(self._links.observations.take(self._session.request.instruction, now, since=since))
            except ObservationUnavailable as missing:
                reason = str(missing)
                if time.monotonic() - began > PATIENCE:
                    self._session.wait_for(reason)
            return bool(taken)

        limit = self._settings.observation_timeout
        if self._links.pulse.until(try_to_take, limit, self._session.check):
            return taken[0]
        raise TaskEnd(Result.NO_OBSERVATION, f"no observation within {limit} s: {reason}")

    def _propose(
        self, observation: Observation, plan_index: int, plan_id: str, plan_time: PlanTime
    ) -> ProposeChunks.Response:
        n = self._settings.proposals
        request = ProposeChunks.Request(
            observation=observation,
            n=n,
            seeds=candidate_seeds(self._session.request.seed, plan_index, n, self._settings.seeds),
            steps=self._settings.planning.action_steps or 0,
            with_latents=self._settings.planner == "best_of_n",
            plan_id=plan_id,
            time_limit=plan_time.for_question,
        )
        client = self._links.policy
        response: ProposeChunks.Response = self._session.ask(
            client, request, Feedback.PROPOSING, self._settings.policy_timeout, Result.POLICY_FAILED
        )
        if response.status == ProposeChunks.Response.UNKNOWN_INSTRUCTION:
            raise TaskEnd(Result.UNKNOWN_INSTRUCTION, response.message)
        if response.status != ProposeChunks.Response.OK:
            raise TaskEnd(Result.POLICY_FAILED, f"{client.srv_name}: {response.message}")
        problem = _difference(request, response.chunks, plan_time.limit > 0)
        if problem:
            raise TaskEnd(Result.POLICY_FAILED, f"{client.srv_name}: {problem}. Run matching versions.")
        return response


def _difference(request: ProposeChunks.Request, chunks: Sequence[ActionChunk], limited: bool) -> str:
    """Say in which way chunks are not what was asked for; against a time limit the first few are enough."""
    if len(chunks) != request.n and not (limited and 1 <= len(chunks) < request.n):
        return f"{len(chunks)} chunk(s) instead of {request.n}"
    for candidate, (seed, chunk) in enumerate(zip(request.seeds, chunks, strict=False)):
        if (chunk.candidate_id, chunk.seed) != (candidate, seed):
            return f"candidate {chunk.candidate_id} of seed {chunk.seed} for candidate {candidate} of seed {seed}"
    return ""
