"""What a recorder says about itself: once a second, and at the end of an episode."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cosmos_policy.recorder.session import Finished, Running
from cosmos_policy_core.data.bags.record import Outcome

# Topics that every episode needs; the others speak only now and then.
ALWAYS = ("/image_raw", "/compressed", "/joint_states", "/joint_commands")


def diagnostics(running: Running | None, lost: Mapping[str, int], free: int, stamp: Time) -> DiagnosticArray:
    """Report the running episode: messages per topic, those that got lost, and the space that is left."""
    status = DiagnosticStatus(name="episode_recorder", hardware_id="disk", level=DiagnosticStatus.OK, message="idle")
    values = {"free_gb": f"{free / 1e9:.1f}"}
    if running is not None:
        dropped = running.tape.dropped
        status.message = f"recording {running.record.episode_id}"
        for topic, count in running.tape.written.items():
            values[topic] = f"{count} written, {lost.get(topic, 0)} lost on the way, {dropped.get(topic, 0)} dropped"
        if sum(dropped.values()):
            status.level, status.message = DiagnosticStatus.ERROR, "the disk is too slow: messages are dropped"
        elif sum(lost.values()):
            status.level, status.message = DiagnosticStatus.WARN, "messages get lost on the way to the recorder"
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def summary(episode: Finished) -> str:
    """Say what an episode holds, what it lost, and what is still to do."""
    record = episode.record
    lost = [f"{topic} {sum(ways.values())}" for topic, ways in record.lost.items()]
    empty = [topic for topic, count in episode.written.items() if count == 0 and topic.endswith(ALWAYS)]
    parts = [f"{episode.path}: {sum(episode.written.values())} messages"]
    parts.append(f"lost: {', '.join(lost)}" if lost else "none lost")
    if empty:
        parts.append(f"NOTHING from {', '.join(empty)}")
    parts.append(describe(record.outcome))
    return "; ".join(parts)


def describe(outcome: Outcome | None) -> str:
    """Put a verdict into words."""
    if outcome is None:
        return "not labelled yet"
    word = "success" if outcome.success else "failure"
    return f"{word} (score {outcome.score:g}, {outcome.judge})"
