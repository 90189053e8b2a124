"""What the benchmarks have in common: a simulator of robosuite's kind, driven through a contract's body."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment, EndEffector
from cosmos_policy_core.errors import ContractError, ObservationError
from cosmos_policy_core.evaluation.rollout import Trial
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.planner import Plan, Planner


class Simulator(Protocol):
    """What is used of a robosuite environment."""

    def step(self, action: NDArray[np.float64]) -> tuple[Mapping[str, Any], float, bool, Mapping[str, Any]]: ...

    def close(self) -> None: ...


class BenchmarkCell(gymnasium.Env[Any, Any]):
    """One task of a benchmark as a gymnasium environment.

    Observations are `images` (camera name -> (H, W, 3) uint8, as rendered) and `proprio` (P,); the contract says what
    the policy does to the images. An info has `success`, true from the first success on.

    Raises:
        ContractError: the contract describes arms.
    """

    def __init__(self, contract: Embodiment, max_steps: int) -> None:
        if contract.body is None:
            raise ContractError(f"{contract.source}: body: is missing. Use the contract of the benchmark.")
        self.contract, self.max_steps = contract, max_steps
        self._body: EndEffector = contract.body
        self._simulator: Simulator | None = None
        self._raw: Mapping[str, Any] = {}
        self._success = False

    @property
    @abc.abstractmethod
    def instruction(self) -> str:
        """The task in words; known after a reset."""

    @abc.abstractmethod
    def _start(self, trial: int, seed: int) -> tuple[Simulator, Mapping[str, Any]]:
        """Begin a trial: give the simulator and its observation after objects have come to rest."""

    @abc.abstractmethod
    def _succeeded(self, done: bool) -> bool:
        """Apply the benchmark's own criterion after a step."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a trial; `options={"trial": k}` picks the k-th initial state or scene."""
        super().reset(seed=seed)
        self._success = False
        self._simulator, self._raw = self._start((options or {}).get("trial", 0), seed or 0)
        return self.observe(), {"success": False}

    def step(self, action: NDArray[np.float64]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Apply (A,) one action of the policy for one control step.

        Raises:
            ObservationError: the action does not fit the contract, or no trial was begun.
        """
        if self._simulator is None:
            raise ObservationError("no trial was begun. Call reset first.")
        self._raw, reward, done, _ = self._simulator.step(self._body.command(action))
        self._success = self._success or self._succeeded(bool(done))
        return self.observe(), float(reward), self._success, False, {"success": self._success}

    def observe(self) -> dict[str, Any]:
        """Return what the simulator showed last.

        Raises:
            ObservationError: a camera or reading of the contract is missing or of another shape.
        """
        images = {}
        for camera in self.contract.cameras:
            image = np.asarray(self._raw.get(camera.name))
            if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
                raise ObservationError(
                    f"{camera.name}: the simulator gave {image.dtype} {image.shape}, not uint8 "
                    f"{(camera.height, camera.width, 3)}. Enable the camera with the size in {self.contract.source}."
                )
            images[camera.name] = image
        return {"images": images, "proprio": self._body.proprioception(self._raw)}

    def close(self) -> None:
        """Free the simulator."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None


def run_trial(cell: BenchmarkCell, planner: Planner, trial: int, seed: int) -> Trial:
    """Plan and execute until success or the benchmark's budget is spent; the simulator waits while a plan is made."""
    seen, info = cell.reset(seed=seed, options={"trial": trial})
    plans: list[Plan] = []
    step = 0
    while step < cell.max_steps and not info["success"]:
        observation = Observation(images=seen["images"], proprio=seen["proprio"], instruction=cell.instruction)
        plans.append(planner.decide(observation, seed, len(plans)))
        # The first actions are executed, not the last, however long the chunk is.
        for action in plans[-1].actions[: cell.contract.executed_steps]:
            seen, _, _, _, info = cell.step(action)
            step += 1
            if info["success"] or step >= cell.max_steps:
                break
    success = bool(info["success"])
    return Trial(seed, success, int(success), step, tuple(plans))


def run_trials(cell: BenchmarkCell, planner: Planner, trials: range, seed: int) -> Iterator[Trial]:
    """Run trials of one task; trial k of a base seed always has the same seed."""
    for trial in trials:
        yield run_trial(cell, planner, trial, trial_seed(seed, trial))


def trial_seed(seed: int, trial: int) -> int:
    """Mix base seed and trial number, so that no two trials of a campaign share a seed, the first included."""
    return int(np.random.SeedSequence((seed, trial)).generate_state(1, np.uint32)[0] >> 1)
