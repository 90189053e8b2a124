"""Which scorers take part: present, ready, of one checkpoint, and speaking of the same robot as the policy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rclpy.client import Client

from cosmos_policy.planner.session import Result, Session, TaskEnd
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks


def meet_policy(session: Session) -> None:
    """Wait for the policy; refuse one of another robot.

    Raises:
        TaskEnd: it does not come, or its contract is another one.
    """
    client = session.links.policy
    greeting = session.meet(client, ProposeChunks.Request(n=0), Result.POLICY_FAILED)
    if problem := _foreign(session, client, greeting):
        session.links.met.pop(client)
        raise TaskEnd(Result.POLICY_FAILED, problem)


def meet_scorers(session: Session) -> None:
    """Wait for the scorers; one that is not there, or does not fit, costs nothing but its help, if there is another.

    One that was lost before is not waited for: it is asked whether it is back, and takes part once it has answered.

    Raises:
        TaskEnd: no scorer can take part.
    """
    links, problems = session.links, []
    alone = all(client in links.away for client in links.scorers)
    for client in links.scorers:
        if client in links.away and not alone and not _is_back(session, client):
            continue
        try:
            greeting = session.meet(client, ScoreChunks.Request(), Result.SCORING_FAILED)
            if problem := _foreign(session, client, greeting) or _unlike(session, client, greeting):
                raise TaskEnd(Result.SCORING_FAILED, problem)
            links.away.pop(client, None)
        except TaskEnd as end:
            if end.termination != Result.SCORING_FAILED:
                raise
            session.lose(client)
            problems.append(str(end))
            links.node.get_logger().warning(f"going on without a scorer: {end}")
    if all(client in links.away for client in links.scorers):
        raise TaskEnd(Result.SCORING_FAILED, " ".join(problems) or "no scorer is there any more.")


def _is_back(session: Session, client: Client) -> bool:
    """Ask a lost scorer, without waiting, whether it is there; tell whether it has said so by now."""
    asked = session.links.away[client]
    if asked is not None and asked.done():
        session.links.away[client] = None
        return bool(asked.result().status == ScoreChunks.Response.OK)
    if asked is not None and not client.service_is_ready():
        client.remove_pending_request(asked)
        session.links.away[client] = asked = None
    if asked is None and client.service_is_ready():
        session.links.away[client] = client.call_async(ScoreChunks.Request())
    return False


@lru_cache(maxsize=16)
def _read(contract: str, source: str) -> Embodiment:
    """Read a contract once, not once per plan."""
    return Embodiment.from_yaml(contract, source)


def _foreign(session: Session, client: Client, greeting: Any) -> str:
    """Say how a server's contract differs from ours in what numbers mean, or return an empty string."""
    name = f"{client.srv_name}: "
    try:
        theirs = _read(greeting.contract, client.srv_name.rsplit("/", 1)[0])
    except ContractError:
        return f"{name}it does not say which contract it serves. Run matching versions."
    differences = session.links.contract.differences(theirs)
    if not differences:
        return ""
    return f"{name}its contract differs from the planner's: {'; '.join(differences)}. Start both with one embodiment."


def _unlike(session: Session, client: Client, greeting: Any) -> str:
    """Say why a scorer cannot value this policy's chunks beside the other scorers, or return an empty string."""
    links, settings = session.links, session.settings
    policy = links.met.get(links.policy)
    if policy is not None and not settings.planning.retile and greeting.scale != policy.scale:
        return (
            f"{client.srv_name}: checkpoint {greeting.checkpoint_id} scales joints otherwise than the policy's "
            f"{policy.checkpoint_id}. Use one that was fine-tuned from it, or set retile."
        )
    for other in links.scorers:
        known = links.met.get(other)
        if other is not client and other not in links.away and known is not None:
            if known.checkpoint_id == greeting.checkpoint_id:
                return ""
            return (
                f"{client.srv_name}: it runs {greeting.checkpoint_id}, {other.srv_name} runs {known.checkpoint_id}. "
                "Start all scorers with the same checkpoint."
            )
    return ""
