"""What an arm driver says about itself on /diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from aloha_hardware.arm_loop import ArmLoop
from aloha_hardware.bus import BusCounts
from aloha_hardware.setpoints import Mode, Setpoints

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
BAD_SHARE = 0.01  # of the instructions that needed a second try
HIGH_CURRENT = 0.8  # of what a motor may draw


@dataclass(frozen=True)
class Counts:
    """What was counted up to a report.

    Args:
        held: how often the commands fell silent.
        watchdog_stops: how often the motors stopped by themselves.
    """

    bus: BusCounts
    held: int = 0
    watchdog_stops: int = 0

    @classmethod
    def of(cls, loop: ArmLoop) -> Counts:
        """Take the counts of a loop, now."""
        return cls(replace(loop.arm.bus.counts), loop.setpoints.held, loop.timing.watchdog_stops)


def report(loop: ArmLoop, before: Counts) -> list[DiagnosticStatus]:
    """Sum up bus, motors and commands of an arm since the counts of the last report.

    Takes no lock: the loop must not wait for statistics.
    """
    return [_bus(loop, before), _motors(loop), _commands(loop, before.held)]


def inactive(arm: str, text: str) -> list[DiagnosticStatus]:
    """Say that an arm is not driven."""
    return [_status(arm, "bus", OK, text, {})]


def _bus(loop: ArmLoop, before: Counts) -> DiagnosticStatus:
    counts, timing = loop.arm.bus.counts, loop.timing
    retries, total = counts.retries - before.bus.retries, counts.total - before.bus.total
    share = retries / total if total else 0.0
    level, message = OK, "running"
    if share > BAD_SHARE:
        level, message = WARN, f"{100 * share:.1f} % of the instructions needed a second try. Check cables and latency"
    if timing.watchdog_stops > before.watchdog_stops:
        level, message = (
            WARN,
            "the driver was kept from the bus and the motors stopped by themselves; it has them again",
        )
    if loop.stale:
        level, message = STALE, loop.setpoints.stops.get("bus", "silent")
    values = {
        "timeouts": str(counts.timeouts),
        "corrupt": str(counts.corrupt),
        "refused": str(counts.refused),
        "retries": str(counts.retries),
        "incomplete_reads": str(timing.incomplete),
        "fast_sync_read": str(loop.arm.bus.fast).lower(),
        "stale": str(loop.stale).lower(),
        "overruns": str(timing.overruns),
        "watchdog_stops": str(timing.watchdog_stops),
    }
    values |= {name: f"{value:.2f}" for name, value in timing.summary().items()}
    return _status(loop.arm.settings.arm, "bus", level, message, values)


def _motors(loop: ArmLoop) -> DiagnosticStatus:
    arm, level, message = loop.arm, OK, "healthy"
    hot = [ident for ident, health in dict(arm.health).items() if health.temperature > arm.settings.temperature_warning]
    if hot:
        level, message = WARN, f"{', '.join(map(arm.name, hot))} hot. Let the arm rest"
    if strained := _strained(loop):
        level, message = WARN, f"{strained}. Take the load off before it shuts down"
    stops = dict(loop.setpoints.stops)
    for stop in ("motors", "torque"):
        if stop in stops:
            level, message = ERROR, stops[stop]
    values = {}
    for ident, health in sorted(dict(arm.health).items()):
        values[f"{arm.name(ident)} temperature_c"] = f"{health.temperature:.0f}"
        values[f"{arm.name(ident)} voltage_v"] = f"{health.voltage:.1f}"
        if health.current is not None:
            values[f"{arm.name(ident)} current_a"] = f"{health.current:.2f}"
    return _status(arm.settings.arm, "motors", level, message, values)


def _strained(loop: ArmLoop) -> str:
    """Name the motors that draw nearly all the current they may."""
    arm, found = loop.arm, []
    for ident, limit in arm.current_limits.items():
        health = arm.health.get(ident)
        if health is not None and health.current is not None and abs(health.current) >= HIGH_CURRENT * limit:
            found.append(f"{arm.name(ident)} draws {abs(health.current):.1f} A of {limit:.1f} A")
    return ", ".join(found)


def _commands(loop: ArmLoop, held_before: int) -> DiagnosticStatus:
    setpoints: Setpoints = loop.setpoints
    values = {
        "mode": setpoints.mode.value,
        "accepted": str(setpoints.accepted),
        "refused": str(setpoints.refused),
        "clamped": str(setpoints.clamped),
        "holds_after_silence": str(setpoints.held),
    }
    stops = list(setpoints.stops.values())
    level, message = OK, setpoints.mode.value
    if setpoints.held > held_before and setpoints.mode is Mode.HOLD:
        level = WARN
        message = "commands stopped coming; the arm holds. Unless their sender says why, see whether it is well"
    if stops:
        level, message = ERROR, stops[0]
    return _status(loop.arm.settings.arm, "commands", level, message, values)


def _status(arm: str, part: str, level: bytes, message: str, values: dict[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=f"arm_driver: {arm} {part}",
        message=message,
        hardware_id=arm,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
