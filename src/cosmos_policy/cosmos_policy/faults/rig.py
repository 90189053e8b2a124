"""A graph to break: both arms emulated, executor, and, for tasks, cameras, planner and a policy that obeys."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cosmos_policy.errors import NoAnswer
from cosmos_policy.faults.operator import Operator
from cosmos_policy.faults.processes import Part, changed, end, until
from cosmos_policy.faults.traces import Stop, stop
from cosmos_policy.graph import BRINGUP, NodeSpec
from cosmos_policy_core.embodiment import Embodiment

LEFT, RIGHT = "follower_left", "follower_right"
EXECUTOR, PLANNER, POLICY = "chunk_executor", "planner", "policy"
STOP = "emergency_stop"
CONTRACT, CONTRACT_FILE = "aloha", "contract.yaml"  # the real robot's rates and limits
SIZE = 64  # [px] of the pictures, which nobody looks at
TRIES = 8
LITTLE = 0.15  # [rad]
PICTURES = 30
HOLDS = "ready, the arm holds"  # a driver, once it is active


@dataclass(frozen=True)
class Pace:
    """How much patience the graph has.

    Args:
        drivers: parameters of the arms' drivers.
        contract: changes of the contract.
        safety: changes of the contract's section of that name.
        grace: time after which arms that were to hold must not be sent anywhere [s].
    """

    drivers: Mapping[str, float]
    contract: Mapping[str, float]
    safety: Mapping[str, float]
    grace: float


# As shipped, but for the patience with the bus, which the emulator (Python beside the drivers) needs and motors do not.
AS_SHIPPED = Pace({"bus_patience": 0.01, "bus_timeout": 0.05, "watchdog": 0.1}, {}, {}, 0.1)
# For machines that do other things too: what happens is the same, only later.
RELAXED = Pace(
    {"bus_patience": 0.05, "bus_timeout": 0.6, "watchdog": 2.0},
    {"state_rate": 50.0},
    {"command_timeout": 0.6, "state_silence_periods": 40.0, "image_age_periods": 12.0},
    1.5,
)


class Rig:
    """The processes of a graph and its operator.

    Args:
        pace: how much patience it has.
        tasks: also start cameras, planner and policy.
        simulated_time: let the graph follow the operator's clock.
        realtime_priority: of executor, drivers and, one more, the emulated motors; 0: none.
    """

    def __init__(
        self,
        pace: Pace = AS_SHIPPED,
        *,
        tasks: bool = False,
        simulated_time: bool = False,
        realtime_priority: int = 0,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cosmos_policy_faults_"))
        self.grace = pace.grace
        self.contract = self._write_contract(pace)
        self._clock = {"use_sim_time": True} if simulated_time else {}
        self._drivers: dict[str, Any] = dict(pace.drivers) | self._clock
        given = {"robot": "emulated", "planner": "direct", "embodiment": str(self.folder / CONTRACT_FILE)}
        given["realtime_priority"] = str(realtime_priority)
        nodes = {node.label: node for node in BRINGUP.nodes(given)}
        self.parts = {label: Part.of(self._adapt(node), self.folder) for label, node in nodes.items() if _basic(label)}
        for arm in (LEFT, RIGHT) if realtime_priority else ():
            until(partial(said, self.motors(arm), "arm on", 0), f"{arm}'s motors")
            self.motors(arm).raise_priority(realtime_priority + 1)
        if tasks:
            self.parts |= self._task_side(nodes)
        self.operator = Operator(self.contract, simulated_time)
        self._offset = LITTLE
        self._closed = False

    def _write_contract(self, pace: Pace) -> Embodiment:
        shipped = Embodiment.load(CONTRACT)
        assert shipped.safety is not None
        small = tuple(camera.model_copy(update={"width": SIZE, "height": SIZE}) for camera in shipped.cameras)
        safety = shipped.safety.model_copy(update=dict(pace.safety))
        file = self.folder / CONTRACT_FILE
        changes = {"safety": safety, "cameras": small, **pace.contract}
        file.write_text(shipped.model_copy(update=changes).to_yaml())
        return Embodiment.load(file)

    def _adapt(self, node: NodeSpec) -> NodeSpec:
        arm = node.namespace.strip("/")
        port = str(self.folder / f"ttyDXL_{arm}")
        if node.name == "motors":
            contract = next(a for a in self.contract.arms if a.name == arm)
            pose = [f"{j.name}={angle}" for j, angle in zip(contract.joints, contract.start_pose, strict=False)]
            words = ("--link", port, "--stays", "--trace", str(self.trace(arm)), "--angles", *pose)
            return replace(node, arguments=words)
        if node.name == "arm_driver":
            return changed(node, {"port": port, "start_timeout": 60.0, **self._drivers})
        return changed(node, self._clock)

    def _task_side(self, nodes: Mapping[str, NodeSpec]) -> dict[str, Part]:
        quick = {"observation_timeout": 3.0, "policy_timeout": 3.0, "server_timeout": 3.0}
        parts = {PLANNER: Part.of(changed(nodes[PLANNER], quick), self.folder)}
        for camera in self.contract.camera_names:
            self.write_pictures(camera)
            shown = {"source": "images", "device": str(self.folder / camera)}
            parts[camera] = Part.of(changed(nodes[f"{camera}/camera"], shown), self.folder)
        words = [sys.executable, "-m", "cosmos_policy.faults.obedient_policy", "--ros-args"]
        words += ["-p", f"embodiment:={self.folder / CONTRACT_FILE}"]
        parts[POLICY] = Part(shlex.join(words), self.folder / "policy.log")
        return parts

    # Verbs ----------------------------------------------------------------------------------------------------------

    def write_pictures(self, camera: str) -> None:
        """Give a camera something to show that changes from picture to picture."""
        folder = self.folder / camera
        folder.mkdir(exist_ok=True)
        for index in range(PICTURES):
            shade = np.full((SIZE, SIZE, 3), 8 * index, dtype=np.uint8)
            Image.fromarray(shade).save(folder / f"{index:02d}.png", compress_level=1)
        (self.folder / "frozen.png").write_bytes((folder / "00.png").read_bytes())

    def driver(self, arm: str) -> Part:
        """Return the process that owns an arm."""
        return self.parts[f"{arm}/arm_driver"]

    def motors(self, arm: str) -> Part:
        """Return the process that emulates an arm's motors."""
        return self.parts[f"{arm}/motors"]

    def trace(self, arm: str) -> Path:
        """Return the file in which an arm's motors write down what they do."""
        return self.folder / f"{arm}.jsonl"

    def wait_until_ready(self) -> None:
        """Wait until a chunk would be executed."""
        for arm in (LEFT, RIGHT):
            until(partial(said, self.driver(arm), HOLDS, 0), f"{arm}'s driver")
        self.operator.pose()
        self.moves()

    def moves(self) -> None:
        """Have both arms do a little and look whether they did; raises NoAnswer where they do not.

        Tried again: a server that was just started answers nobody at first, and lifted faults are on their way.
        """
        for attempt in range(TRIES):
            self._offset = -self._offset
            try:
                reason, message = self.operator.execute(self.operator.towards(self._offset), patience=3.0).result(10.0)
            except NoAnswer as error:
                reason, message = "NO_ANSWER", str(error)
            if reason == "COMPLETED":
                if self.operator.is_at(self._offset):
                    return
                message = "but they are elsewhere"
            time.sleep(0.3 * (attempt + 1))
        raise NoAnswer(f"the arms do not move: {reason}, {message}")

    def recovers(self, mend: Callable[[Rig], object] | None = None) -> tuple[bool, str]:
        """Mend what was broken and tell whether the arms move again, and what is in the way."""
        try:
            if mend is not None:
                mend(self)
            self.moves()
        except NoAnswer as error:
            return False, str(error)
        return True, ""

    def stops(
        self, since: float, until_: float, grace: float | None = None, limp: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Stop]:
        """Look how both arms came to rest; goals may change for a grace [s], by default that of the pace."""
        allowed = self.grace if grace is None else grace
        return {
            arm: stop(self.trace(arm), since, until_, allowed, [joint for name, joint in limp if name == arm])
            for arm in (LEFT, RIGHT)
        }

    def close(self) -> list[int]:
        """End everything and return the exit codes."""
        if not self._closed:
            self.operator.close()
        self._closed = True
        return end(list(self.parts.values()))

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def said(part: Part, text: str, times: int) -> bool:
    """Tell whether a process has printed something more often than so many times."""
    return part.log.count(text) > times


def _basic(label: str) -> bool:
    return label in (EXECUTOR, STOP) or label.endswith(("/motors", "/arm_driver"))
