"""Learning-rate factor of the published fine-tuning: linear warm-up and decay, in cycles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cycle:
    """One stretch of training: `warm_up` steps from `start` to `peak`, then linearly down to `end`.

    Attributes:
        length: steps, warm-up included. The step at its very end still belongs to it.
        start, peak, end: factors of the base learning rate.
    """

    length: int
    warm_up: int
    start: float
    peak: float
    end: float

    def factor(self, step: int) -> float:
        """Return the factor `step` steps after the start of the cycle."""
        if step < self.warm_up:
            return self.start + (self.peak - self.start) * step / self.warm_up
        return self.end + (self.peak - self.end) * (self.length - step) / (self.length - self.warm_up)


FOREVER = 10**14  # steps of a last cycle that never ends


def learning_rate_factor(step: int, cycles: tuple[Cycle, ...]) -> float:
    """Return the factor of the base learning rate at a step; after the last cycle, the last factor.

    Args:
        step: optimiser steps taken before, from 0.
        cycles: one after the other.
    """
    for cycle in cycles[:-1]:
        if step <= cycle.length:
            return cycle.factor(step)
        step -= cycle.length
    return cycles[-1].factor(min(step, cycles[-1].length))
