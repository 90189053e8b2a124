"""The monitor: show plans and state to whoever looks with rviz, Foxglove or Rerun."""

from __future__ import annotations

import sys
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from aloha_nodes.qos import LATCHED
from aloha_nodes.running import run
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.messages import image_message
from cosmos_policy.monitor import topics
from cosmos_policy.monitor.account import Account
from cosmos_policy.monitor.listener import Listener
from cosmos_policy.monitor.markers import candidate_markers, plan_markers, status_markers
from cosmos_policy.monitor.mosaic import mosaic
from cosmos_policy.monitor.newest import Newest, Pictures
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy.robot_descriptions import read_description
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord


class MonitorNode(ManagedNode):
    """Publish what the planner decided, what it imagined, and how the graph is.

    Topics: see :mod:`cosmos_policy.monitor.topics`; all are latched. Paths are drawn in the root frame of the
    description. Nothing here loads torch, and nothing here can move an arm.
    """

    threads = 1

    def __init__(self, **options: Any) -> None:
        super().__init__("monitor", **options)
        self._embodiment: str = self.declare("embodiment", "aloha_sim", "Contract: a name that ships, or a YAML file.")
        self._description: str = self.declare("description", "", "URDF or xacro of the robot; empty: the ALOHA cell.")
        self._tip: str = self.declare("tip", "ee_gripper_link", "Link of each arm whose path is drawn.")
        self._rate: float = self.declare("status_rate", 2.0, "Status messages per second [Hz].", minimum=0.1)
        self._group = MutuallyExclusiveCallbackGroup()
        self._account = Account()
        self._paths: GripperPaths | None = None
        self._contract: Embodiment | None = None
        self._cameras: Newest | None = None
        self._pictures: Pictures | None = None
        self._serving = False
        self._plan, self._candidates, self._status = (
            self.create_publisher(MarkerArray, topic, LATCHED)
            for topic in (topics.PLAN, topics.CANDIDATES, topics.STATUS)
        )
        self._imagined = self.create_publisher(Image, topics.IMAGINED, LATCHED)
        self._listener = Listener(self, self._account, self._show, self._group)
        # The state is told at a steady pace, whatever clock the graph follows and however that stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ticker = self.create_timer(1.0 / self._rate, self._tell, callback_group=self._group, clock=steady)

    def configure(self) -> None:
        """Read contract and description, and listen to the cameras."""
        contract = Embodiment.load(self._embodiment)
        self._paths = GripperPaths.of(contract, read_description(self._description, contract), self._tip)
        for arm in contract.arms:
            if arm.name not in self._paths.tips:
                self.get_logger().warning(
                    f"no path of {arm.name} is drawn: the description has no link {arm.name}/{self._tip}."
                )
        if self._cameras is None:
            self._cameras = Newest(self, {camera.topic: Image for camera in contract.cameras}, self._group)
        self._pictures = Pictures(contract, self._cameras)
        self._listener.expect(contract.joint_names)
        self._contract = contract

    def activate(self) -> None:
        """Speak, and show the plan that was made before."""
        self._serving = True
        if self._account.plan is not None:
            self._show(self._account.plan)

    def deactivate(self) -> None:
        """Fall silent."""
        self._serving = False

    def _tell(self) -> None:
        self._listener.ask_again()
        if self._serving and self._paths is not None:
            self._status.publish(status_markers(self._account, self._paths.robot.root))

    def _show(self, plan: PlanRecord) -> None:
        if not self._serving or self._paths is None or self._contract is None:
            return
        frame, executed = self._paths.robot.root, self._contract.executed_steps
        self._candidates.publish(candidate_markers(plan, self._paths, frame))
        self._plan.publish(plan_markers(plan, self._paths, frame, executed))
        if plan.imagined:
            self._imagined.publish(self._picture(plan))

    def _picture(self, plan: PlanRecord) -> Image:
        assert self._contract is not None
        assert self._pictures is not None
        self._pictures.look()
        title = f"plan {plan.index}, value {plan.value:.3f}: {plan.instruction}"
        pixels = mosaic(self._contract.camera_names, self._pictures.seen, plan.imagined, title)
        return image_message(pixels, self._paths.robot.root if self._paths else "", self.get_clock().now().to_msg())


def main(args: list[str] | None = None) -> int:
    """Run the monitor."""
    return run(MonitorNode, args)


if __name__ == "__main__":
    sys.exit(main())
