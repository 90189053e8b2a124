"""What can be chosen about planning; the planner node's parameters, checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from cosmos_policy.errors import ParameterError
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.ensembles import SeedMode
from cosmos_policy_core.planning import presets

Planner = Literal["direct", "best_of_n"]
Mode = Literal["hold", "overlap", "deadline"]


@dataclass(frozen=True)
class PlannerSettings:
    """Every number of the planner, with the published planner's values as defaults.

    `preset` is the base; the fields after it change single settings of it where they are not empty, 0, -1 or false.
    Time-outs are wall time [s]: they bound the waiting for other processes, also when simulated time stands still.
    """

    planner: Planner = "best_of_n"
    mode: Mode = "hold"
    deadline: float = 0.0
    preset: str = "default"
    candidates: int = 8
    futures: int = 3
    values: int = 5
    aggregation: str = "majority_mean"
    threshold: float = -1.0
    proposal_steps: int = 0
    future_steps: int = 0
    value_steps: int = 0
    retile: bool = False
    q_values: bool = False
    evaluate_all: bool = False
    depth: int = 1
    depth_values: str = "last"
    policy: str = "/policy"
    scorers: tuple[str, ...] = ("/policy",)
    imagined_images: bool = False
    report_folder: str = ""
    observation_timeout: float = 10.0
    server_timeout: float = 60.0
    policy_timeout: float = 60.0
    scoring_timeout: float = 120.0
    execution_timeout: float = 10.0
    success_grace: float = 0.5

    def __post_init__(self) -> None:
        for name, known in (("planner", get_args(Planner)), ("mode", get_args(Mode))):
            if getattr(self, name) not in known:
                raise ParameterError(f"{name}: '{getattr(self, name)}' is unknown. Use one of: {', '.join(known)}.")
        for name in ("observation_timeout", "server_timeout", "policy_timeout", "scoring_timeout", "execution_timeout"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}: {getattr(self, name)} s is not above 0. Give seconds.")
        if not 0 <= self.deadline < math.inf:
            raise ParameterError(f"deadline: {self.deadline} s is not a time. Give seconds, or 0 for none.")
        if self.mode == "deadline" and self.deadline == 0:
            raise ParameterError("deadline: 0 in mode 'deadline'. Give the seconds that a plan may take.")
        if self.planner == "best_of_n" and not self.scorers:
            raise ParameterError("scorers: empty. Name at least one scorer, for example ['/policy'].")
        _ = self.planning  # what the core refuses is refused here, before a robot waits for it

    @property
    def planning(self) -> presets.PlannerSettings:
        """The core's settings: the preset, and what was changed of it.

        Raises:
            ParameterError: they make no sense together.
        """
        try:
            base = presets.preset(self.preset)
            return dataclasses.replace(
                base,
                n=self.candidates,
                futures=self.futures,
                values=self.values,
                aggregate=self.aggregation,
                threshold=base.threshold if self.threshold < 0 else self.threshold,
                action_steps=self.proposal_steps or base.action_steps,
                future_steps=self.future_steps or base.future_steps,
                value_steps=self.value_steps or base.value_steps,
                retile=self.retile or base.retile,
                imagine=False if self.q_values else base.imagine,
                pruning=base.pruning and not self.evaluate_all,
                depth=self.depth,
                depth_values=self.depth_values,  # type: ignore[arg-type]
            )
        except ConfigurationError as error:
            raise ParameterError(str(error)) from error

    @property
    def proposals(self) -> int:
        """Chunks to ask the policy for."""
        return self.candidates if self.planner == "best_of_n" else 1

    @property
    def seeds(self) -> SeedMode:
        """Rule of the candidates' seeds, see `candidate_seeds`."""
        return self.planning.seeds or "independent"
