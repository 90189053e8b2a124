"""What the chunk executor says about itself on /diagnostics."""

from __future__ import annotations

import math

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from cosmos_policy_core.execution import ChunkExecutor, JointStates, PeriodStatistics, Samples

NAME = "chunk_executor: commands"


def status(
    core: ChunkExecutor,
    states: JointStates,
    periods: PeriodStatistics,
    state_ages: Samples,
    active: bool,
    now: float,
) -> DiagnosticStatus:
    """Sum up activity, timing and the arms' states; the worst news is the message.

    Args:
        periods: of the ticks in wall time, whatever the node's clock is.
        state_ages: of the oldest arm's state at the ticks [s].
        now: on the node's clock [s].
    """
    arms = core.settings.arm_names
    ages = [now - states.stamp(index) for index in range(len(arms))]
    level, message = _verdict(core, ages, active)
    values = {
        "activity": core.activity.value,
        "active": str(active).lower(),
        "emergency_stop": str(core.stopped).lower(),
    }
    values |= {f"period_error_{key}": f"{value:.3f}" for key, value in periods.summary().items()}
    values |= {f"state_age_{key}": f"{value:.3f}" for key, value in state_ages.summary().items()}
    values["periods"] = str(periods.count)
    for index, arm in enumerate(arms):
        values[f"{arm}/state_age_ms"] = f"{1e3 * ages[index]:.1f}"
        values[f"{arm}/states_rejected"] = str(states.rejected[index])
    return DiagnosticStatus(
        level=level,
        name=NAME,
        message=message,
        hardware_id=",".join(arms),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _verdict(core: ChunkExecutor, ages: list[float], active: bool) -> tuple[bytes, str]:
    if core.stopped:
        return DiagnosticStatus.ERROR, "emergency stop latched; release it with /emergency_stop/set, data: false"
    if core.faults:
        return DiagnosticStatus.ERROR, "; ".join(f"{arm}: {text}" for arm, text in core.faults.items())
    if not active:
        return DiagnosticStatus.OK, "inactive"
    oldest = max(range(len(ages)), key=lambda index: ages[index])
    arm = core.settings.arm_names[oldest]
    if math.isinf(ages[oldest]):
        return DiagnosticStatus.WARN, f"waiting for joint states of {arm}"
    if ages[oldest] > core.settings.state_timeout:
        return DiagnosticStatus.ERROR, f"joint states of {arm} stopped {ages[oldest]:.1f} s ago"
    return DiagnosticStatus.OK, core.activity.value
