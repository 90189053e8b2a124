"""World model and value function held against what really happens: in simulation every candidate can be executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cosmos_policy_core.model.answers import Proposals, Scene
from cosmos_policy_core.model.ensembles import candidate_seeds
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.planner import Direct

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class TruthOptions:
    """What is imagined, and how far it is followed.

    max_steps: budget of an episode in control steps; what has not succeeded by then has failed.
    gamma: discount per control step of the true value; the checkpoint's own where it knows it.
    thinking: seconds the arms rest before a later plan, as in `rollout`.
    """

    candidates: int = 8
    futures: int = 3
    values: int = 5
    max_steps: int = 250
    gamma: float = 0.99
    thinking: float = 0.4


@dataclass(frozen=True)
class Fate:
    """One candidate: what was predicted of it, and what became of it.

    seed, plan, candidate: where it was proposed. predicted: mean value of its ensemble, in [0, 1]; spread: its
    standard deviation. success: reached after executing it and following the direct policy to the end of the budget.
    remaining: control steps from the end of the chunk to the success. true_value: gamma ** remaining, 0 for a failure.
    image_error: (cameras,) mean absolute pixel difference of the imagined and the real future, of the full range;
    image_still: had nothing moved; image_floor: of the tokenizer alone. proprio_error: root mean square [robot
    units]; proprio_still: had nothing moved. whole: False where the budget ended before the chunk, so that what came
    is not the time that was imagined.
    """

    seed: int
    plan: int
    candidate: int
    predicted: float
    spread: float
    success: bool
    remaining: int | None
    true_value: float
    image_error: tuple[float, ...]
    image_still: tuple[float, ...]
    image_floor: tuple[float, ...]
    proprio_error: float
    proprio_still: float
    whole: bool = True


@dataclass(frozen=True)
class Sight:
    """(cameras, S, S, 3) uint8 of one candidate: before, as imagined, and as it came."""

    seed: int
    plan: int
    candidate: int
    predicted: float
    success: bool
    seen: Picture
    imagined: Picture
    came: Picture


class TruthCheck:
    """Follows every candidate of every plan to its end.

    Args:
        environment: of the simulated cell, made with `render=False`; it can return to an instant.
        policy: proposes, and carries on after a candidate.
        world: imagines and values.
    """

    def __init__(self, environment: Any, policy: CosmosPolicy, world: CosmosPolicy, options: TruthOptions) -> None:
        self._cell = environment.unwrapped
        self._environment, self._policy, self._world, self._options = environment, policy, world, options
        self._direct = Direct(policy)
        self._executed = world.contract.executed_steps
        self._instruction = self._cell.cell.settings.instruction

    def follow(self, seed: int, skip: int = 0) -> Iterator[tuple[list[Fate], list[Sight]]]:
        """Run one episode of the direct policy; at each of its plans, try all candidates first. Yields per plan.

        Args:
            skip: plans at the begin whose candidates were tried before; they are executed only.
        """
        self._environment.reset(seed=seed)
        step, plan, success = 0, 0, False
        while step < self._options.max_steps and not success:
            if plan:
                self._cell.hold(self._options.thinking)
            if plan < skip:
                first = self._propose(seed, plan, self._observe()).actions[0]
            else:
                instant = self._cell.snapshot()
                fates, sights, first = self._try_all(seed, plan, step)
                yield fates, sights
                self._cell.restore(instant)
            success, taken = self._execute(first, self._options.max_steps - step)
            step, plan = step + taken, plan + 1

    def _try_all(self, seed: int, plan: int, step: int) -> tuple[list[Fate], list[Sight], NDArray[np.float64]]:
        instant, observation, options = self._cell.snapshot(), self._observe(), self._options
        proposals = self._propose(seed, plan, observation)
        scene = self._world.encode(observation)
        futures = self._world.imagine(scene, proposals, options.futures)
        values = self._world.evaluate(scene, futures, options.values).reshape(options.candidates, -1)
        first = futures.latents[:, 0]
        imagined, proprio = self._world.decode(first, scene), self._world.proprio_of(first)
        fates, sights = [], []
        for candidate, actions in enumerate(proposals.actions):
            self._cell.restore(instant)
            success, taken = self._execute(actions, options.max_steps - step, to_the_end=True)
            after = self._observe()
            scene_after = self._world.encode(after)
            success, remaining = (True, 0) if success else self._carry_on(seed, plan, step + taken)
            seen, came = _pictures(scene), _pictures(scene_after)
            fates.append(
                Fate(
                    seed=seed,
                    plan=plan,
                    candidate=candidate,
                    predicted=float(values[candidate].mean()),
                    spread=float(values[candidate].std()),
                    success=success,
                    remaining=remaining if success else None,
                    true_value=float(options.gamma**remaining) if success else 0.0,
                    image_error=_error(imagined[candidate], came),
                    image_still=_error(seen, came),
                    image_floor=_error(self._through_tokenizer(scene_after), came),
                    proprio_error=_rms(proprio[candidate] - after.proprio),
                    proprio_still=_rms(observation.proprio - after.proprio),
                    whole=taken == min(self._executed, len(actions)),
                )
            )
            sights.append(Sight(seed, plan, candidate, fates[-1].predicted, success, seen, imagined[candidate], came))
        return fates, sights, proposals.actions[0]

    def _propose(self, seed: int, plan: int, observation: Observation) -> Proposals:
        count = self._options.candidates
        seeds = candidate_seeds(seed, plan, count, self._policy.config.seeds)
        return self._policy.propose(observation, count, seeds)

    def _carry_on(self, seed: int, plan: int, step: int) -> tuple[bool, int]:
        """Follow the direct policy to success or out of budget: (success, control steps it took)."""
        began, success = step, False
        while step < self._options.max_steps and not success:
            plan += 1
            self._cell.hold(self._options.thinking)
            decided = self._direct.decide(self._observe(), seed, plan)
            success, taken = self._execute(decided.actions, self._options.max_steps - step)
            step += taken
        return success, step - began

    def _execute(self, actions: NDArray[np.float64], budget: int, to_the_end: bool = False) -> tuple[bool, int]:
        """Execute a chunk: (success, control steps). `to_the_end`: beyond a success, where the imagined future lies."""
        success, taken = False, 0
        for action in actions[: min(self._executed, budget)]:
            *_, info = self._environment.step(action)
            success, taken = bool(info["success"]), taken + 1
            if success and not to_the_end:
                break
        return success, taken

    def _observe(self) -> Observation:
        seen = self._cell.observe(images=True)
        return Observation(images=seen["images"], proprio=seen["proprio"], instruction=self._instruction)

    def _through_tokenizer(self, scene: Scene) -> Picture:
        """Decode what the tokenizer makes of the real future: the least error an imagined one can have."""
        layout, latents = self._world.config.layout, scene.clean.clone()
        latents[:, :, list(layout.future_state)] = scene.clean[:, :, list(layout.current_state)]
        return self._world.decode(latents, scene)[0]


def _pictures(scene: Scene) -> Picture:
    assert isinstance(scene.images, torch.Tensor)
    return np.asarray(scene.images[0].cpu().numpy(), dtype=np.uint8)


def _error(first: Picture, second: Picture) -> tuple[float, ...]:
    difference = np.abs(first.astype(np.float64) - second.astype(np.float64)) / 255.0
    return tuple(float(error) for error in difference.mean(axis=(1, 2, 3)))


def _rms(difference: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(difference))))


def summarise(fates: Sequence[Fate]) -> dict[str, Any]:
    """Put everything in numbers, ready for JSON; None where nothing can be said."""
    groups = by_plan(fates)
    mixed = [group for group in groups if 0 < sum(fate.success for fate in group) < len(group)]
    concordance = [value for group in mixed if (value := pairwise_accuracy(group)) is not None]
    ranks = [value for group in groups if (value := rank_correlation(group)) is not None]
    whole = [fate for fate in fates if fate.whole]
    error, still, floor = (_mean_rows([getattr(fate, name) for fate in whole]) for name in _IMAGE_ERRORS)
    return {
        "plans": len(groups),
        "candidates": len(fates),
        "plans_with_mixed_outcomes": len(mixed),
        "success_of_all_candidates": _mean([fate.success for fate in fates]),
        "success_of_valued_best": _mean([max(group, key=lambda fate: fate.predicted).success for group in groups]),
        "success_of_oracle": _mean([max(fate.success for fate in group) for group in groups]),
        "pairwise_accuracy_within_plans": _mean(concordance),
        "rank_correlation_within_plans": _mean(ranks),
        "rank_correlation_overall": rank_correlation(fates),
        "value_mean_absolute_error": _mean([abs(fate.predicted - fate.true_value) for fate in fates]),
        "image_error": error,
        "image_error_had_nothing_moved": still,
        "image_error_of_tokenizer": floor,
        "proprio_error": _mean([fate.proprio_error for fate in whole]),
        "proprio_error_had_nothing_moved": _mean([fate.proprio_still for fate in whole]),
        "calibration": calibration(fates),
    }


def calibration(fates: Sequence[Fate], bins: int = 10) -> list[dict[str, Any]]:
    """Compare predicted and true values in bins of the predicted value of equal width; empty ones are left out."""
    groups: dict[int, list[Fate]] = {}
    for fate in fates:
        place = int(np.clip(fate.predicted * bins, 0, bins - 1))
        groups.setdefault(place, []).append(fate)
    return [
        {
            "from": place / bins,
            "to": (place + 1) / bins,
            "candidates": len(group),
            "predicted": _mean([fate.predicted for fate in group]),
            "true_value": _mean([fate.true_value for fate in group]),
            "success_rate": _mean([fate.success for fate in group]),
        }
        for place, group in sorted(groups.items())
    ]


_IMAGE_ERRORS = ("image_error", "image_still", "image_floor")


def by_plan(fates: Sequence[Fate]) -> list[list[Fate]]:
    """Group candidates that competed with each other."""
    groups: dict[tuple[int, int], list[Fate]] = {}
    for fate in fates:
        groups.setdefault((fate.seed, fate.plan), []).append(fate)
    return list(groups.values())


def pairwise_accuracy(fates: Sequence[Fate]) -> float | None:
    """How often a success was valued above a failure, ties half; None without both. 0.5 is chance."""
    wins = [fate.predicted for fate in fates if fate.success]
    losses = [fate.predicted for fate in fates if not fate.success]
    if not wins or not losses:
        return None
    return float(np.mean([[(win > loss) + 0.5 * (win == loss) for loss in losses] for win in wins]))


def rank_correlation(fates: Sequence[Fate]) -> float | None:
    """Spearman's correlation of predicted and true value; None where either is constant."""
    from scipy.stats import rankdata

    predicted, true = (rankdata([getattr(fate, name) for fate in fates]) for name in ("predicted", "true_value"))
    if len(fates) < 2 or np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return None
    return round(float(np.corrcoef(predicted, true)[0, 1]), 4)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


def _mean_rows(rows: Sequence[tuple[float, ...]]) -> list[float]:
    return [round(float(value), 4) for value in np.mean(rows, axis=0)] if rows else []
