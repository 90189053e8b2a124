"""What an arm says: where its joints are, and how its motors fare."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """The seven joints in one instant.

    Args:
        stamp: [s] of the monotonic clock, after the read.
        position, velocity: [rad], [rad/s].
        effort: [N·m] of all motors of the joint together, from nominal constants, or [mA] of the master as sensed.
    """

    stamp: float
    position: tuple[float, ...]
    velocity: tuple[float, ...]
    effort: tuple[float, ...]


@dataclass(frozen=True)
class Health:
    """What one motor says about itself."""

    voltage: float  # [V]
    temperature: float  # [°C]
    current: float | None = None  # [A], signed; None where the motor cannot sense it
