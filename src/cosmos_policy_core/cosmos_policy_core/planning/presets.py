"""What a planner does, in numbers: the published planner, and ours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.ensembles import SeedMode
from cosmos_policy_core.planning.aggregate import SCHEMES

PUBLISHED_THRESHOLD = 0.05

DepthValues = Literal["last", "average"]


@dataclass(frozen=True)
class PlannerSettings:
    """How candidates are made, valued and compared.

    Raises:
        ConfigurationError: on construction, naming the field and the remedy.
    """

    n: int = 8
    """Candidates."""
    futures: int = 3
    """Imagined futures per candidate."""
    values: int = 5
    """Value predictions per future."""
    aggregate: str = "majority_mean"
    """How a candidate's values become one score, see `aggregate`."""
    threshold: float | None = PUBLISHED_THRESHOLD
    """Value above which a prediction counts as a success, in [0, 1). None: calibrated for the predicting checkpoint."""
    action_steps: int | None = None
    """Denoising steps of a proposal; the checkpoint's when None."""
    future_steps: int | None = None
    """Denoising steps of the last future member; the checkpoint's when None."""
    value_steps: int | None = None
    """Denoising steps of the last value member; the checkpoint's when None."""
    seeds: SeedMode | None = None
    """Noise of candidates and ensemble members: as published (base + member) or independent, see
    `model.ensembles`; the checkpoint's habit when None."""
    retile: bool = False
    """Condition the world model on the chunk that would be executed, not on the raw sampled action frame."""
    imagine: bool | None = None
    """False skips the futures: Q(s, a), straight from the proposal. None: as the checkpoint's value query needs."""
    pruning: bool = True
    """Leave out value predictions that cannot change the choice."""
    depth: int = 1
    """Chunks looked ahead; the policy proposes from imagined states beyond the first."""
    depth_values: DepthValues = "last"
    """A path's value beyond depth 1: of its last state, or the mean over its states."""

    def __post_init__(self) -> None:
        for name in ("n", "futures", "values", "depth", "action_steps", "future_steps", "value_steps"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ConfigurationError(f"planner: {name} is {number}. Use at least 1.")
        if self.aggregate not in SCHEMES:
            raise ConfigurationError(
                f"planner: aggregate {self.aggregate!r} is unknown. Use one of: {', '.join(SCHEMES)}."
            )
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise ConfigurationError(f"planner: threshold is {self.threshold}. Use a number from 0 up to 1.")
        if self.aggregate == "lcb" and self.members == 1:
            raise ConfigurationError("planner: 'lcb' of one value is undefined. Use more futures, values or a scheme.")
        for name, known in (("depth_values", get_args(DepthValues)), ("seeds", (None, *get_args(SeedMode)))):
            if getattr(self, name) not in known:
                words = ", ".join(filter(None, known))
                raise ConfigurationError(f"planner: {name} {getattr(self, name)!r} is unknown. Use one of: {words}.")
        if self.depth > 1 and self.imagine is False:
            raise ConfigurationError("planner: depth > 1 needs imagined futures. Use depth 1 for Q(s, a).")

    @property
    def members(self) -> int:
        """Values that one candidate's score rests on (at depth 1)."""
        return self.values if self.imagine is False else self.valued_futures * self.values

    @property
    def valued_futures(self) -> int:
        """Imagined futures whose values count: all, but as published only the first without a value ensemble."""
        return 1 if self.seeds == "reference" and self.values == 1 else self.futures


REFERENCE = PlannerSettings(action_steps=10, future_steps=5, value_steps=5, seeds="reference", pruning=False)
"""The published planner, number for number: its seeds, steps, constants and quirks."""

DEFAULT = PlannerSettings(seeds="independent", threshold=None)
"""Ours: every (candidate, stage, member) has its own noise, predictions that cannot matter are left out, and a success
is told from a failure by the discount and the episodes that the checkpoint was trained with."""

PRESETS = {"reference": REFERENCE, "default": DEFAULT}


def preset(name: str) -> PlannerSettings:
    """Look a preset up.

    Raises:
        ConfigurationError: unknown; names the known ones.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"planner preset {name!r} is unknown. Use one of: {', '.join(PRESETS)}.")
    return PRESETS[name]


def success_threshold(gamma: float, horizon: int) -> float:
    """Value that separates a predicted success from a predicted failure.

    A state from which the task succeeds k steps later has value gamma^k, a state of a failure has value 0. The
    slowest success that can still happen lies at gamma^horizon; half of it is as far from it as from failure. The
    published 0.05 is half of a success about 1150 steps ahead at gamma 0.998.

    Args:
        gamma: discount per step that the value labels were made with, in (0, 1].
        horizon: most steps that an episode may still take until success.
    """
    if not 0 < gamma <= 1 or horizon < 0:
        raise ConfigurationError(f"gamma {gamma}, horizon {horizon}: gamma lies in (0, 1], the horizon is at least 0.")
    return 0.5 * math.pow(gamma, horizon)


def calibrated_threshold(gamma: float | None, episode_steps: int | None) -> float:
    """Threshold for a checkpoint's values: from its training's discount and longest success, else the published one."""
    if gamma is None or episode_steps is None:
        return PUBLISHED_THRESHOLD
    return success_threshold(gamma, episode_steps)
