"""Value candidates as the settings say: by futures, by (s, a), or by looking further ahead."""

from __future__ import annotations

from cosmos_policy_core.model.policy import CosmosPolicy, Proposals, Scene
from cosmos_policy_core.model.transformer import TextContext
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_core.planning.scoring import Scoring, Valuation
from cosmos_policy_core.planning.tree import search


def value_candidates(
    world: CosmosPolicy,
    scene: Scene,
    proposals: Proposals,
    settings: PlannerSettings,
    budget: Budget,
    *,
    policy: CosmosPolicy | None = None,
    policy_text: TextContext | None = None,
    finish_best: bool = False,
) -> Valuation:
    """Value candidates until the choice among them is certain or the budget is over.

    Args:
        scene: the present as the world model encodes it.
        policy: proposes from imagined states beyond depth 1; the world model's own checkpoint when None.
        policy_text: the instruction as that policy encodes it.
        finish_best: value the best candidate to its end, see `contested_round`.

    Raises:
        PlanCancelled: by the budget, within one denoising step.
        ModelError: the network returned numbers that are not finite.
    """
    if settings.depth > 1:
        return search(
            policy or world,
            world,
            scene,
            proposals,
            settings,
            budget,
            policy_text=policy_text,
            finish_best=finish_best,
        )
    scoring = Scoring(world, scene, proposals, settings, budget, finish_best=finish_best)
    return scoring.valuation(scoring.run())
