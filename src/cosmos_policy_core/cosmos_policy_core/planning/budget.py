"""What limits the making of a plan: time, and its caller's patience."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cosmos_policy_core.errors import PlanCancelled


@dataclass(frozen=True)
class Budget:
    """Time left and the wish to cancel; both are asked between denoising steps, from the planning thread.

    remaining: seconds left for this plan, on any clock; unlimited when None.
    cancelled: true when nobody wants the plan any more.
    step: seconds that one more denoising step will take, asked once before each; 0 when None.
    """

    remaining: Callable[[], float] | None = None
    cancelled: Callable[[], bool] | None = None
    step: Callable[[], float] | None = None

    @classmethod
    def until(cls, deadline: float, cancelled: Callable[[], bool] | None = None) -> Budget:
        """Limit a plan by a time of the machine's monotonic clock (`time.monotonic`), seconds.

        It is over when another step as long as the one before would end too late.
        """
        return cls(lambda: deadline - time.monotonic(), cancelled, _LastStep())

    @property
    def limited(self) -> bool:
        """Whether time can run out at all."""
        return self.remaining is not None

    def cancel_wanted(self) -> bool:
        return self.cancelled is not None and self.cancelled()

    def is_over(self) -> bool:
        """Tell whether planning should stop now, for either reason."""
        if self.cancel_wanted():
            return True
        step = 0.0 if self.step is None else self.step()
        return self.remaining is not None and self.remaining() <= step

    def check(self) -> None:
        """Raise PlanCancelled when nobody wants the plan any more."""
        if self.cancel_wanted():
            raise PlanCancelled("the plan was cancelled; the device is free, and no chunk was chosen.")


class _LastStep:
    """What one more step will take, by the last one's measure [s]; 0 before the first."""

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self) -> float:
        now = time.monotonic()
        step = 0.0 if self._last is None else now - self._last
        self._last = now
        return step
