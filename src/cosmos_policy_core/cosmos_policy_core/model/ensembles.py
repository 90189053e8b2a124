"""Seeds of candidates, seeds and step counts of ensemble members."""

from __future__ import annotations

from typing import Literal

import numpy as np

SeedMode = Literal["reference", "independent"]

FUTURE_STAGE = 1
VALUE_STAGE = 2


SEEDS = 2**64
"""How many seeds there are: messages carry them as uint64."""


def candidate_seeds(seed: int, plan: int, n: int, mode: SeedMode) -> tuple[int, ...]:
    """Seeds of the candidates of one plan of a task; the first few are those of a plan with fewer candidates.

    `reference` repeats the published rule, seed, seed + 1, ... in every plan, going on at 0 after 2^64 - 1.
    `independent` draws distinct 32-bit seeds from (seed, plan): no two plans share noise.

    Args:
        seed: of the task, modulo 2^64. plan: number of the plan within the task, from 0.
    """
    if mode == "reference":
        return tuple((seed + index) % SEEDS for index in range(n))
    drawn = np.random.SeedSequence((seed % SEEDS, plan)).generate_state(4 * n + 4, np.uint32)
    return tuple(dict.fromkeys(drawn.tolist()))[:n]


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
