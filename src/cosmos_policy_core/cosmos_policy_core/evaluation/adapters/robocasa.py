"""RoboCasa: 24 kitchen tasks in five kitchens that were not trained in, with objects that were not either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, SimulatorError
from cosmos_policy_core.evaluation.adapters.cell import BenchmarkCell, Simulator

DEFAULT_MAX_STEPS = 500
# Longest trial of the other tasks [control steps].
MAX_STEPS = {
    "PnPCounterToSink": 700,
    "PnPCounterToMicrowave": 600,
    "OpenDoubleDoor": 1000,
    "CloseDoubleDoor": 700,
    "CoffeeSetupMug": 600,
    "CoffeeServeMug": 600,
    "CoffeePressButton": 300,
}
TASKS = (
    *(f"PnP{way}" for way in ("CounterToCab", "CabToCounter", "CounterToSink", "SinkToCounter")),
    *(f"PnP{way}" for way in ("CounterToMicrowave", "MicrowaveToCounter", "CounterToStove", "StoveToCounter")),
    *(f"{verb}{part}" for part in ("SingleDoor", "DoubleDoor", "Drawer") for verb in ("Open", "Close")),
    *(f"Turn{way}{part}" for part in ("Stove", "SinkFaucet") for way in ("On", "Off")),
    "TurnSinkSpout",
    *(f"Coffee{part}" for part in ("SetupMug", "ServeMug", "PressButton")),
    *(f"Turn{way}Microwave" for way in ("On", "Off")),
)
SCENES = ((1, 1), (2, 2), (4, 4), (6, 9), (7, 10))  # layout and style
TRIALS_PER_SCENE = 10
TRIALS, SEEDS = 50, (195, 196, 197)  # of the published evaluation, per task
SETTLE_STEPS = 10  # of zeros, not counted
ROBOT = "PandaMobile"
INSTALL = (
    "Install https://github.com/moojink/robocasa-cosmos-policy with its kitchen assets, and robosuite and "
    "robosuite_models as it says."
)


class RobocasaCell(BenchmarkCell):
    """One RoboCasa task; every trial has a fresh kitchen.

    Args:
        make_kitchen: called with (scene, seed) for every trial.
        task: one of `TASKS`.
    """

    def __init__(
        self, make_kitchen: Callable[[tuple[int, int], int], Any], task: str, contract: Embodiment | None = None
    ) -> None:
        super().__init__(contract or Embodiment.load("robocasa"), MAX_STEPS.get(task, DEFAULT_MAX_STEPS))
        self._make, self._kitchen, self._instruction = make_kitchen, None, ""

    @classmethod
    def make(cls, task: str, contract: Embodiment | None = None) -> RobocasaCell:
        """Make the cell of a task.

        Raises:
            ConfigurationError: unknown task.
            SimulatorError: RoboCasa is not installed.
        """
        if task not in TASKS:
            raise ConfigurationError(f"task '{task}' is unknown. Use one of: {', '.join(TASKS)}.")
        contract = contract or Embodiment.load("robocasa")
        return cls(_kitchens(task, contract), task, contract)

    @property
    def instruction(self) -> str:
        """The task in words, which differ from kitchen to kitchen."""
        return self._instruction

    def _start(self, trial: int, seed: int) -> tuple[Simulator, Mapping[str, Any]]:
        self.close()
        kitchen: Any = self._make(SCENES[trial // TRIALS_PER_SCENE % len(SCENES)], seed)
        self._kitchen = kitchen
        kitchen.reset()
        self._instruction = str(kitchen.get_ep_meta()["lang"])  # known only now: the reset draws the objects
        raw: Mapping[str, Any] = {}
        for _ in range(SETTLE_STEPS):
            raw, _, _, _ = kitchen.step(np.zeros_like(kitchen.action_spec[0]))
        return kitchen, raw

    def _succeeded(self, done: bool) -> bool:
        assert self._kitchen is not None
        return bool(self._kitchen._check_success())


def _kitchens(task: str, contract: Embodiment) -> Callable[[tuple[int, int], int], Any]:
    try:
        import robocasa  # noqa: F401  registers the kitchens
        import robosuite
        from robosuite.controllers import load_composite_controller_config
    except ImportError as error:
        raise SimulatorError(f"RoboCasa is not installed ({error}). {INSTALL}") from None
    camera = contract.cameras[0]

    def make(scene: tuple[int, int], seed: int) -> Any:
        return robosuite.make(
            env_name=task,
            robots=ROBOT,
            # Operational-space control; the published outputs of 0.05 m and 0.5 rad are the library's default.
            controller_configs=load_composite_controller_config(controller=None, robot=ROBOT),
            camera_names=[camera.name.removesuffix("_image") for camera in contract.cameras],
            camera_widths=camera.width,
            camera_heights=camera.height,
            has_renderer=False,
            has_offscreen_renderer=True,
            use_camera_obs=True,
            use_object_obs=True,
            ignore_done=True,
            seed=seed,
            obj_instance_split="B",
            layout_and_style_ids=(scene,),
            generative_textures=None,
            randomize_cameras=False,
            translucent_robot=False,
        )

    return make
