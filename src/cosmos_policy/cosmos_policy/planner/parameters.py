"""The planner node's parameters: name, meaning, allowed values. Defaults are those of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from cosmos_policy.planner.settings import Mode, Planner, PlannerSettings
from cosmos_policy_core.planning.aggregate import SCHEMES
from cosmos_policy_core.planning.presets import PRESETS, DepthValues

DEFAULTS = PlannerSettings()

_COUNT: dict[str, Any] = {"minimum": 1}
_STEPS: dict[str, Any] = {"minimum": 0}
_TIME: dict[str, Any] = {"minimum": 1e-3}

SETTINGS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("planner", "How to choose a chunk.", {"choices": get_args(Planner)}),
    ("mode", "Plan at rest, while moving, or while moving with the time until the seam.", {"choices": get_args(Mode)}),
    ("deadline", "Wall time of a plan [s]; the best choice so far is run then. 0: none.", {"minimum": 0.0}),
    ("preset", "Base of the settings of planning.", {"choices": tuple(PRESETS)}),
    ("candidates", "Chunks to choose among.", _COUNT),
    ("futures", "Imagined futures per chunk.", _COUNT),
    ("values", "Value predictions per future.", _COUNT),
    ("aggregation", "Values to one score.", {"choices": SCHEMES}),
    ("threshold", "Value above which a prediction is a success; below 0: the preset's.", {"maximum": 1.0}),
    ("proposal_steps", "Denoising steps of a proposal; 0: the preset's.", _STEPS),
    ("future_steps", "Denoising steps of the last future member; 0: the preset's.", _STEPS),
    ("value_steps", "Denoising steps of the last value member; 0: the preset's.", _STEPS),
    ("retile", "Condition the world model on the chunk that would be executed.", {}),
    ("q_values", "Value (s, a) straight from the proposal, without imagining futures.", {}),
    ("evaluate_all", "Also make the predictions that cannot change the choice.", {}),
    ("depth", "Chunks looked ahead.", _COUNT),
    (
        "depth_values",
        "A path's value beyond depth 1: of its last state, or the average.",
        {"choices": get_args(DepthValues)},
    ),
    ("policy", "Name of the policy node.", {}),
    ("scorers", "Names of the scoring nodes; they share the candidates.", {}),
    ("imagined_images", "Report the chosen candidate's imagined images.", {}),
    ("report_folder", "Folder that keeps every report as JSON, for cosmos-policy explain-plan; empty: none.", {}),
    ("observation_timeout", "Wall time to wait for cameras and arms [s].", _TIME),
    ("server_timeout", "Wall time to wait for a node to appear [s].", _TIME),
    ("policy_timeout", "Wall time of one proposal [s].", _TIME),
    ("scoring_timeout", "Wall time of one scoring [s].", _TIME),
    ("execution_timeout", "Silence of the executor that ends a task [s].", _TIME),
    ("success_grace", "Wall time to wait for a last success report [s].", {"minimum": 0.0}),
)
