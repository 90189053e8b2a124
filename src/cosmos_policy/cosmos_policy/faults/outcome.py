"""What came of a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """One row of the table.

    Args:
        fault: what was done to the robot.
        expected: how the arms should be after it, in words.
        reason: termination of the goal that ran, by name; empty where there was none.
        told: what the user was told: result message, then diagnostics.
        recovery: what brings the robot back.
        recovered: whether it did: a chunk ran to its end afterwards.
        told_after: until the last new goal reached a motor [s]; None where the arms are to go on.
        held_after: until the last joint came to rest [s]; None likewise.
        late: new goals later than the grace after the fault; None likewise.
        problem: what went otherwise than it should; empty is well.
    """

    fault: str
    expected: str
    reason: str = ""
    told: Sequence[str] = ()
    recovery: str = ""
    recovered: bool = False
    told_after: float | None = None
    held_after: float | None = None
    late: int | None = None
    problem: str = ""
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether everything went as it should, time apart."""
        return not self.problem and self.recovered
