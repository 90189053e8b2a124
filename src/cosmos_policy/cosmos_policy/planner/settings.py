"""What can be chosen about planning; the planner node's parameters, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from cosmos_policy.errors import ParameterError
from cosmos_policy_core.planning.aggregate import SCHEMES

Planner = Literal["direct", "best_of_n"]


@dataclass(frozen=True)
class PlannerSettings:
    """Every number of the planner, with the published planner's values as defaults.

    Time-outs are wall time [s]: they bound the waiting for other processes, also when simulated time stands still.
    """

    planner: Planner = "best_of_n"
    candidates: int = 8
    futures: int = 3
    values: int = 5
    aggregation: str = "majority_mean"
    proposal_steps: int = 0
    future_steps: int = 0
    value_steps: int = 0
    policy: str = "/policy"
    scorers: tuple[str, ...] = ("/policy",)
    imagined_images: bool = False
    observation_timeout: float = 10.0
    server_timeout: float = 60.0
    policy_timeout: float = 60.0
    scoring_timeout: float = 120.0
    execution_timeout: float = 10.0
    success_grace: float = 0.5

    def __post_init__(self) -> None:
        if self.planner not in get_args(Planner):
            raise ParameterError(f"planner: '{self.planner}' is unknown. Use one of: {', '.join(get_args(Planner))}.")
        if self.aggregation not in SCHEMES:
            raise ParameterError(f"aggregation: '{self.aggregation}' is unknown. Use one of: {', '.join(SCHEMES)}.")
        for name in ("candidates", "futures", "values"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: {getattr(self, name)} is below 1. Give at least 1.")
        for name in ("observation_timeout", "server_timeout", "policy_timeout", "scoring_timeout", "execution_timeout"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}: {getattr(self, name)} s is not above 0. Give seconds.")
        if self.planner == "best_of_n" and not self.scorers:
            raise ParameterError("scorers: empty. Name at least one scorer, for example ['/policy'].")

    @property
    def proposals(self) -> int:
        """Chunks to ask the policy for."""
        return self.candidates if self.planner == "best_of_n" else 1
