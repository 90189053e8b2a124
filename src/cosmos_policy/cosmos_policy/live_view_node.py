"""The live view: the robot, its plans and its futures in a browser, with the buttons of an operator."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image, JointState

from aloha_nodes.running import run
from cosmos_policy.errors import ParameterError
from cosmos_policy.live.gate import Gate, check_reach
from cosmos_policy.live.operator import Operator
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.monitor.account import Account
from cosmos_policy.monitor.listener import Listener
from cosmos_policy.monitor.mosaic import mosaic
from cosmos_policy.monitor.newest import Newest, Pictures
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy.robot_descriptions import read_description
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord

if TYPE_CHECKING:
    from cosmos_policy.live.page import Page  # needs viser, which may be missing

WIDTH = 320  # [px] of a camera image in the page
QUIET = 1.0  # [s] of wall time after which cameras and arms are said to be silent


class LiveViewNode(ManagedNode):
    """Serve a page that shows what the monitor publishes, and lets its reader start, cancel and stop.

    Listens on this machine only, unless a token is given; see :mod:`cosmos_policy.live.gate`. Nothing here loads torch.
    The page is complete in itself: it loads nothing from the internet.
    """

    threads = 1

    def __init__(self, **options: Any) -> None:
        super().__init__("live_view", **options)
        self._embodiment: str = self.declare("embodiment", "aloha_sim", "Contract: a name that ships, or a YAML file.")
        self._description: str = self.declare("description", "", "URDF or xacro of the robot; empty: the ALOHA cell.")
        self._tip: str = self.declare("tip", "ee_gripper_link", "Link of each arm whose path is drawn.")
        self._host: str = self.declare("host", "127.0.0.1", "Address to listen on; any but this machine needs a token.")
        self._port: int = self.declare("port", 8080, "Port to listen on.", minimum=1, maximum=65535)
        self._token: str = self.declare("token", "", "Secret in the page's address; at least 16 characters.")
        self._rate: float = self.declare("rate", 10.0, "Updates of the page per second [Hz].", minimum=0.5, maximum=50)
        self._instruction: str = self.declare("instruction", "", "Instruction that stands in the page at first.")
        self._group = MutuallyExclusiveCallbackGroup()
        self._account = Account()
        self._contract: Embodiment | None = None
        self._paths: GripperPaths | None = None
        self._newest: Newest | None = None
        self._pictures: Pictures | None = None
        self._page: Any = None
        self._operator = Operator(self, self._say, self._group)
        self._listener = Listener(self, self._account, self._show_plan, self._group, self._operator.hear_stop)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ticker = self.create_timer(1.0 / self._rate, self._tick, callback_group=self._group, clock=steady)

    def configure(self) -> None:
        """Read contract and description, and listen to cameras and arms."""
        check_reach(self._host, self._token)
        contract = Embodiment.load(self._embodiment)
        self._paths = GripperPaths.of(contract, read_description(self._description, contract), self._tip)
        if self._newest is None:
            topics: dict[str, type] = {camera.topic: Image for camera in contract.cameras}
            topics |= {arm.state_topic: JointState for arm in contract.arms}
            self._newest = Newest(self, topics, self._group)
        self._pictures = Pictures(contract, self._newest)
        self._listener.expect(contract.joint_names)
        self._contract = contract

    def activate(self) -> None:
        """Open the page."""
        assert self._contract is not None
        assert self._paths is not None
        self._page = self._open(self._contract, self._paths)
        if self._account.plan is not None:
            self._show_plan(self._account.plan)
        secret = "/?token=..." if self._token else ""
        self.get_logger().info(f"the live view is at http://{self._host}:{self._port}{secret}")

    def deactivate(self) -> None:
        """Close the page: nobody presses buttons of a view that is not active."""
        if self._page is not None:
            page, self._page = self._page, None
            page.close()

    def _open(self, contract: Embodiment, paths: GripperPaths) -> Any:
        try:
            from cosmos_policy.live.page import Page
        except ImportError as error:
            raise _missing(error) from error
        return Page(self._host, self._port, Gate(self._token), contract, paths, self._operator, self._instruction)

    def _say(self, words: str) -> None:
        self.get_logger().info(words)
        if self._page is not None:
            self._page.panel.tell(words)

    def _show_plan(self, plan: PlanRecord) -> None:
        # Another thread may close the page meanwhile.
        page, contract, pictures = self._page, self._contract, self._pictures
        if page is None or contract is None or pictures is None:
            return
        page.show_plan(plan, self._account.timeline)
        if plan.imagined:
            _show_pictures(page, pictures)  # nobody may have looked since an earlier plan
            title = f"plan {plan.index}, value {plan.value:.3f}"
            page.panel.show_imagined(mosaic(contract.camera_names, pictures.seen, plan.imagined, title))

    def _tick(self) -> None:
        self._listener.ask_again()
        self._operator.complain()
        page, contract, newest, pictures = self._page, self._contract, self._newest, self._pictures
        if page is None or contract is None or newest is None or pictures is None or not page.is_looked_at:
            return
        self._account.silent = tuple(_silent_arms(contract, newest))
        page.panel.show_state(self._account)
        _show_arms(page, contract, newest)
        _show_pictures(page, pictures)
        for camera in contract.cameras:
            silence = newest.silence(camera.topic)
            page.panel.show_silence(camera.name, silence if silence > QUIET else None)


def check_address(host: str, port: int, token: str) -> None:
    """Refuse an address and a token that the view could not be served with.

    Raises:
        NodeError: says why, and what to choose instead.
    """
    check_reach(host, token)
    try:
        from cosmos_policy.live.server import check_free
    except ImportError as error:
        raise _missing(error) from error
    check_free(host, port)


def _missing(error: ImportError) -> ParameterError:
    return ParameterError(f"live view: {error.name} is not installed. Install it: pip install viser.")


def _show_arms(page: Page, contract: Embodiment, newest: Newest) -> None:
    """Move the robot in the page to where its arms are."""
    positions: dict[str, float] = {}
    for arm in contract.arms:
        state = newest.take(arm.state_topic)
        if state is not None:
            pairs = zip(state.name, state.position, strict=False)
            positions |= {f"{arm.name}/{name}": position for name, position in pairs}
    if np.isfinite(list(positions.values())).all():
        page.scene.show_joints(positions)


def _show_pictures(page: Page, pictures: Pictures) -> None:
    """Show what the cameras have sent since the last look."""
    for name in pictures.look():
        page.panel.show_camera(name, _small(pictures.seen[name]))


def _silent_arms(contract: Embodiment, newest: Newest) -> Iterator[str]:
    """Name arms that have said nothing for a while: the page still shows them where they last were."""
    for arm in contract.arms:
        silence = newest.silence(arm.state_topic)
        if silence > QUIET:
            since = f"for {silence:.0f} s" if math.isfinite(silence) else "yet"
            yield f"no joint states of {arm.name} {since}; where it stands in the picture is old"


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink an image to what the page shows."""
    if pixels.shape[1] <= WIDTH:
        return pixels
    picture = Picture.fromarray(pixels)
    return np.asarray(picture.resize((WIDTH, max(1, round(picture.height * WIDTH / picture.width)))))


def main(args: list[str] | None = None) -> int:
    """Run the live view."""
    return run(LiveViewNode, args)


if __name__ == "__main__":
    sys.exit(main())
