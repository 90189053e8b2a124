"""Seeds and step counts of ensemble members."""

from __future__ import annotations

from typing import Literal

import numpy as np

SeedMode = Literal["reference", "independent"]

FUTURE_STAGE = 1
VALUE_STAGE = 2


def candidate_seeds(seed: int, n: int) -> tuple[int, ...]:
    """Seeds of the candidates of one plan: seed, seed + 1, ... as published."""
    return tuple(seed + index for index in range(n))


def member_steps(members: int, steps: int) -> list[int]:
    """Step counts of an ensemble: spread evenly from 1 to `steps`, truncated; a single member takes them all.

    Three futures of 5 steps are 1, 3, 5 (published planner, section "ensembles" of the method).
    """
    if members == 1:
        return [steps]
    return [int(count) for count in np.linspace(1, steps, members)]


def member_seed(base: int, stage: int, future: int, value: int, mode: SeedMode) -> int:
    """Seed of one ensemble member of a candidate.

    `reference` repeats the published rule, base + member, which shares noise between stages and between neighbouring
    candidates. `independent` hashes (candidate seed, stage, member) into a stream of its own.
    """
    if mode == "reference":
        return base + (value if stage == VALUE_STAGE else future)
    return int(np.random.SeedSequence([base, stage, future, value]).generate_state(1)[0])
