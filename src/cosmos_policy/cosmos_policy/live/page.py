"""The page: scene and panel on one server."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_policy.live.gate import Gate
from cosmos_policy.live.operator import Operator
from cosmos_policy.live.panel import Panel
from cosmos_policy.live.scene import Scene
from cosmos_policy.live.server import serve
from cosmos_policy.monitor.account import PlanPoint
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord


class Page:
    """Everything a browser shows.

    Raises:
        NodeError: the address cannot be listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        gate: Gate,
        contract: Embodiment,
        paths: GripperPaths,
        operator: Operator,
        instruction: str,
    ) -> None:
        self._server = serve(host, port, gate)
        self._paths, self._executed = paths, contract.executed_steps
        self.scene = Scene(self._server, paths.robot)
        self.panel = Panel(self._server, operator, contract.camera_names, instruction)

    @property
    def is_looked_at(self) -> bool:
        """Whether a browser has the page open."""
        return bool(self._server.get_clients())

    def show_plan(self, plan: PlanRecord, timeline: Sequence[PlanPoint]) -> None:
        """Show a decision in the scene and beside it."""
        self.scene.show_plan(plan, self._paths, self._executed)
        self.panel.show_plan(plan, timeline)

    def close(self) -> None:
        """End the server; browsers lose the connection."""
        self._server.stop()
