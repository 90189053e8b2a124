"""The last word on every command: inside the position limits, and never a step above the velocity limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# A change smaller than this is rounding, not a limit at work.
NOTICEABLE = 1e-9


class Limiter:
    """Clamp commands in action space, grippers included. Assumes one caller."""

    def __init__(self, lower: Vector, upper: Vector, velocity: Vector) -> None:
        self._lower, self._upper, self._velocity = lower, upper, velocity
        self._step = np.empty_like(velocity)
        self._bound = np.empty_like(velocity)
        self._wanted = np.empty_like(velocity)

    def limit(self, wanted: Vector, last: Vector, elapsed: float, out: Vector) -> bool:
        """Write the allowed command into `out`; return whether it differs from the wanted one.

        The velocity has priority: from a pose outside the position limits (a sleep pose, say) the command moves back
        inside no faster than allowed.

        Args:
            wanted: (A,) where the trajectory is.
            last: (A,) what was commanded a tick ago.
            elapsed: since then [s].
            out: (A,) may be `last`.
        """
        np.clip(wanted, self._lower, self._upper, out=self._wanted)
        np.subtract(self._wanted, last, out=self._step)
        np.multiply(self._velocity, max(elapsed, 0.0), out=self._bound)
        np.minimum(self._step, self._bound, out=self._step)
        np.negative(self._bound, out=self._bound)
        np.maximum(self._step, self._bound, out=self._step)
        np.add(last, self._step, out=out)
        np.subtract(out, wanted, out=self._step)
        np.abs(self._step, out=self._step)
        return bool(self._step.max() > NOTICEABLE)
