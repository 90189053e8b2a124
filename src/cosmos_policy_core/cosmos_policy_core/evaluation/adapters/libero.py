"""LIBERO: four suites of ten tabletop tasks and one of ninety, with fixed initial states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, SimulatorError
from cosmos_policy_core.evaluation.adapters.cell import BenchmarkCell, Simulator

# Longest trial [control steps], and number of tasks.
MAX_STEPS = {
    "libero_spatial": 220,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}
TASKS = {suite: 90 if suite == "libero_90" else 10 for suite in MAX_STEPS}
TRIALS, SEEDS = 50, (195, 196, 197)  # of the published evaluation, per task
SETTLE_STEPS = 10  # while objects fall to the table; not counted
SETTLE_ACTION = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
INSTALL = "Clone https://github.com/Lifelong-Robot-Learning/LIBERO and run `pip install -e LIBERO` with robosuite 1.4."


class LiberoCell(BenchmarkCell):
    """One LIBERO task.

    Args:
        simulator: LIBERO's off-screen environment of the task.
        instruction: the task in words.
        initial_states: (N, S) simulator states the trials start from, in turn.
        max_steps: longest trial.
    """

    def __init__(
        self,
        simulator: Any,
        instruction: str,
        initial_states: NDArray[np.float64],
        max_steps: int,
        contract: Embodiment | None = None,
    ) -> None:
        super().__init__(contract or Embodiment.load("libero"), max_steps)
        self._environment, self._instruction, self._states = simulator, instruction, initial_states

    @classmethod
    def make(cls, suite: str, task: int, contract: Embodiment | None = None) -> LiberoCell:
        """Make the cell of a task.

        Raises:
            ConfigurationError: unknown suite or task.
            SimulatorError: LIBERO is not installed, or its files are not where it says.
        """
        if suite not in MAX_STEPS:
            raise ConfigurationError(f"suite '{suite}' is unknown. Use one of: {', '.join(MAX_STEPS)}.")
        if not 0 <= task < TASKS[suite]:
            raise ConfigurationError(f"{suite} has tasks 0..{TASKS[suite] - 1}, not {task}.")
        contract = contract or Embodiment.load("libero")
        try:
            from libero.libero import benchmark, get_libero_path
            from libero.libero.envs import OffScreenRenderEnv
        except ImportError as error:
            raise SimulatorError(f"LIBERO is not installed ({error}). {INSTALL}") from None
        chosen = benchmark.get_benchmark_dict()[suite]().get_task(task)
        states = Path(get_libero_path("init_states")) / chosen.problem_folder / chosen.init_states_file
        camera = contract.cameras[0]
        simulator = OffScreenRenderEnv(
            bddl_file_name=str(Path(get_libero_path("bddl_files")) / chosen.problem_folder / chosen.bddl_file),
            camera_heights=camera.height,
            camera_widths=camera.width,
        )
        simulator.seed(0)  # as published: object poses depend on it even with fixed initial states
        return cls(simulator, chosen.language, read_states(states), MAX_STEPS[suite], contract)

    @property
    def instruction(self) -> str:
        """The task in words."""
        return self._instruction

    def _start(self, trial: int, seed: int) -> tuple[Simulator, Mapping[str, Any]]:
        self._environment.reset()
        raw = self._environment.set_init_state(self._states[trial % len(self._states)])
        for _ in range(SETTLE_STEPS):
            raw, _, _, _ = self._environment.step(np.array(SETTLE_ACTION))
        return self._environment, raw

    def _succeeded(self, done: bool) -> bool:
        return done


def read_states(path: Path) -> NDArray[np.float64]:
    """Read a file of initial states (N, S): a torch archive with one array, read without running code from it.

    Raises:
        SimulatorError: it is missing or holds something else.
    """
    import _codecs

    import torch

    reconstruct: Any = np.empty(0).__reduce__()[0]
    names = [f"{module}.multiarray._reconstruct" for module in ("numpy.core", "numpy._core")]
    allowed: list[Any] = [
        *((reconstruct, name) for name in names),
        np.ndarray,
        np.dtype,
        type(np.dtype(float)),
        _codecs.encode,
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            states = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for one cause: this is not such a file
        raise SimulatorError(f"{path}: the initial states cannot be read ({error}). Install LIBERO again.") from None
    array = np.asarray(states, dtype=np.float64)
    if array.ndim != 2 or not len(array):
        raise SimulatorError(f"{path}: holds an array of shape {array.shape}, not (trials, numbers).")
    return array
