"""Have all candidates valued by the scorers, and choose one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from cosmos_policy.plan_messages import scored_message, settings_message
from cosmos_policy.planner.report import Scoring, merge_stages
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd
from cosmos_policy.planner.sharing import Sharing
from cosmos_policy.planner.table import ValueTable
from cosmos_policy.planner.timing import PlanTime
from cosmos_policy_core.errors import ModelError
from cosmos_policy_msgs.msg import ActionChunk, ImaginedState, Observation, PlanReport
from cosmos_policy_msgs.srv import ScoreChunks


def score_candidates(
    session: Session, observation: Observation, chunks: list[ActionChunk], plan_id: str, plan_time: PlanTime
) -> tuple[Scoring, int, float]:
    """Share the candidates among the scorers and choose; one that fails costs time, not candidates.

    Returns:
        All scores, the chosen candidate, and the wall time of the decision itself [s].

    Raises:
        TaskEnd: no scorer could value the candidates, or the task was interrupted.
    """
    session.show(Feedback.SCORING)
    settings, links = session.settings, session.links
    clients = [client for client in links.scorers if client not in links.away]
    message = settings_message(settings.planning)
    table = ValueTable(chunks, settings.aggregation, settings.futures, settings.values)

    def ask(share: Sequence[int]) -> ScoreChunks.Request:
        return ScoreChunks.Request(
            observation=observation,
            chunks=[chunks[k] for k in share],
            settings=message,
            finish_best=len(share) < len(chunks),
            with_images=settings.imagined_images,
            plan_id=plan_id,
            time_limit=plan_time.for_question,
        )

    sharing = Sharing(clients, ask, table, settings.scoring_timeout, links.pulse.wake)
    try:
        while not (sharing.complete or sharing.stuck or plan_time.is_over):
            links.pulse.until(
                lambda: sharing.advance() or sharing.complete or sharing.stuck or plan_time.is_over,
                float("inf"),
                session.check,
            )
    finally:
        unanswered = sharing.close()
    if unanswered:
        session.cancel_plan(plan_id)
    for client in sharing.unusable:
        session.lose(client)
    for problem in sharing.problems:
        links.node.get_logger().warning(f"a scorer's work was done without it: {problem}")
    return _decide(chunks, settings.proposals, table, sharing, plan_time)


def _decide(
    chunks: list[ActionChunk], asked: int, table: ValueTable, sharing: Sharing, plan_time: PlanTime
) -> tuple[Scoring, int, float]:
    began = time.perf_counter()
    problems = " ".join(sharing.problems)
    if not sharing.complete and (sharing.stuck or not plan_time.limit):
        raise TaskEnd(Result.SCORING_FAILED, problems or "no scorer is there any more.")
    try:
        decision, certain = table.decide()
    except ModelError as error:
        raise TaskEnd(Result.SCORING_FAILED, f"{problems} {error}".strip()) from error
    if not certain and not plan_time.limit:
        raise TaskEnd(
            Result.SCORING_FAILED,
            "the scorers left values out that could change the choice. Run matching versions of planner and scorers.",
        )
    answers = [job.answer for job in sharing.jobs if job.answer is not None and job.answer.status == 0]
    states = _states(answers)
    complete = certain and len(chunks) == asked
    completed = PlanReport.DECIDED if complete else PlanReport.PARTLY_VALUED
    chosen = chunks[decision.index].candidate_id
    scoring = Scoring(
        scores=tuple(scored_message(chunk, table.values[k], table.known[k]) for k, chunk in enumerate(chunks)),
        values=tuple(decision.candidate_values.tolist()),
        stages=tuple(merge_stages([stage for answer in answers for stage in answer.stages])),
        images=next((tuple(a.images) for a in answers if len(a.images) and a.images_of == chosen), ()),
        checkpoint_id=answers[0].checkpoint_id if answers else "",
        completed=completed if certain or table.known.any() else PlanReport.DIRECT_CHUNK,
        threshold=table.threshold,
        spent=int(table.known.sum()) + _on_the_way(states),
        saved=int((~table.known).sum()),
        states=tuple(states),
        shares=tuple(sharing.report(chunks)),
    )
    return scoring, decision.index, time.perf_counter() - began


def _on_the_way(states: Sequence[ImaginedState]) -> int:
    """Count the values of a search that are not in the table: those of states before the deepest ones."""
    deepest = max((state.depth for state in states), default=0)
    return sum(int(np.isfinite(state.values).sum()) for state in states if state.depth < deepest)


def _states(answers: Sequence[ScoreChunks.Response]) -> list[ImaginedState]:
    """Join the trees of several scorers into one list; a candidate that was valued twice is told once."""
    joined: list[ImaginedState] = []
    told: set[int] = set()
    for answer in answers:
        places: dict[int, int] = {}
        for index, state in enumerate(answer.states):
            if state.candidate_id not in told:
                places[index] = len(joined)
                state.parent = places.get(state.parent, -1)
                joined.append(state)
        told |= {state.candidate_id for state in answer.states}
    return joined
