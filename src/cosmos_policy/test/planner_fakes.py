"""Hand-written stand-ins for everything the planner talks to, over real DDS: they answer as told."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot_messages import image, joint_state
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String

from aloha_nodes import emergency_stop
from aloha_nodes.qos import LATCHED, REPORTS, SENSOR_DATA
from aloha_nodes.spinning import spinning
from cosmos_policy.messages import chunk_message, stage_message
from cosmos_policy.plan_messages import jpeg_message, scored_message
from cosmos_policy.planner_node import PlannerNode
from cosmos_policy.qos import CANCEL_TOPIC, CANCELLATIONS
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks

TASK = "transfer the cube to the left arm"


def small_contract() -> Embodiment:
    """The simulated cell with tiny images: the planner only carries them."""
    text = Embodiment.load("aloha_sim").to_yaml()
    return Embodiment.from_yaml(text.replace("width: 256", "width: 32").replace("height: 256", "height: 32"))


class FakeRobot(Node):
    """Cameras and arms at 25 Hz; topics in `silent` stop."""

    def __init__(self, contract: Embodiment, context: Context) -> None:
        super().__init__("fake_robot", context=context)
        self.silent: set[str] = set()
        self._senders: list[tuple[str, object, Callable[[], Image | JointState]]] = []
        for camera in contract.cameras:
            frame = image(camera, self.get_clock().now())
            self._add(camera.topic, Image, lambda frame=frame: frame)
        for arm in contract.arms:
            state = joint_state(arm, self.get_clock().now())
            self._add(arm.state_topic, JointState, lambda state=state: state)
        self.success = self.create_publisher(Bool, "/task_success", LATCHED)
        self.stop = self.create_publisher(Bool, emergency_stop.STATE, LATCHED)
        self.create_timer(contract.period, self._publish)

    def _add(self, topic: str, kind: type, make: Callable[[], Image | JointState]) -> None:
        self._senders.append((topic, self.create_publisher(kind, topic, SENSOR_DATA), make))

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for topic, publisher, make in self._senders:
            if topic not in self.silent:
                message = make()
                message.header.stamp = stamp
                publisher.publish(message)


class FakePolicy(Node):
    """Both services of a policy node; replies are replaced by setting `propose` or `score`."""

    def __init__(self, contract: Embodiment, context: Context, name: str = "policy") -> None:
        super().__init__(name, context=context)
        self._contract = contract
        self.proposals: list[ProposeChunks.Request] = []
        self.scorings: list[ScoreChunks.Request] = []
        self.values: Callable[[int], float] = lambda candidate: 0.5
        self.reset()
        group = ReentrantCallbackGroup()
        self._services = [
            self.create_service(ProposeChunks, "~/propose_chunks", self._propose, callback_group=group),
            self.create_service(ScoreChunks, "~/score_chunks", self._score, callback_group=group),
        ]

    def reset(self) -> None:
        """Answer well again."""
        self.ready = True
        self.contract, self.scale, self.checkpoint = self._contract.to_yaml(), "scale", "fake@1"
        self.propose: Callable[[ProposeChunks.Request], ProposeChunks.Response] = self.propose_well
        self.score: Callable[[ScoreChunks.Request], ScoreChunks.Response] = self.score_well
        self.values = lambda candidate: 0.5
        self.proposals.clear()
        self.scorings.clear()

    def propose_well(self, request: ProposeChunks.Request) -> ProposeChunks.Response:
        """Answer with n chunks that stay where the arms are."""
        actions = np.tile(self._contract.start_action, (self._contract.chunk_horizon, 1))
        stamp = self.get_clock().now().to_msg()
        chunks = [
            chunk_message(
                actions,
                self._contract,
                observation_stamp=request.observation.header.stamp,
                stamp=stamp,
                candidate_id=k,
                seed=seed,
                value=0.25,
                checkpoint_id=self.checkpoint,
                latent=b"latent" if request.with_latents else b"",
            )
            for k, seed in enumerate(request.seeds)
        ]
        return ProposeChunks.Response(chunks=chunks, stages=[stage_message(2, 0.01, request.n)])

    def score_well(self, request: ScoreChunks.Request) -> ScoreChunks.Response:
        """Answer with `values` of each candidate, the same in every future and member."""
        shape = (request.settings.futures, request.settings.values)
        scores = [scored_message(chunk, np.full(shape, self.values(chunk.candidate_id))) for chunk in request.chunks]
        best = max(request.chunks, key=lambda chunk: self.values(chunk.candidate_id))
        return ScoreChunks.Response(
            scores=scores,
            certain=True,
            threshold=0.05,
            evaluations_spent=len(scores) * shape[0] * shape[1],
            stages=[stage_message(3, 0.02, 9), stage_message(4, 0.03, 15)],
            images=[jpeg_message(np.zeros((8, 8, 3), np.uint8), "camera")] * 3 if request.with_images else [],
            images_of=best.candidate_id,
            checkpoint_id=self.checkpoint,
        )

    def _propose(self, request: ProposeChunks.Request, response: ProposeChunks.Response) -> ProposeChunks.Response:
        if request.n == 0:
            return ProposeChunks.Response(**self._greeting())
        self.proposals.append(request)
        return self.propose(request)

    def _score(self, request: ScoreChunks.Request, response: ScoreChunks.Response) -> ScoreChunks.Response:
        if not request.chunks:
            return ScoreChunks.Response(**self._greeting())
        self.scorings.append(request)
        return self.score(request)

    def _greeting(self) -> dict[str, object]:
        if self.ready:
            return {"contract": self.contract, "scale": self.scale, "checkpoint_id": self.checkpoint}
        return {"status": ProposeChunks.Response.NOT_READY, "message": f"{self.get_name()} is inactive."}


class FakeExecutor(Node):
    """Runs a chunk in `chunk_seconds`; `termination` and `message` say how it ends, the first `refusals` times only.

    A goal that replaces ends the running one as REPLACED.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("fake_executor", context=context)
        self.goals: list[ExecuteChunk.Goal] = []
        self.cancelled = 0
        self.reset()
        self._server = ActionServer(
            self,
            ExecuteChunk,
            "/execute_chunk",
            self._execute,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def reset(self) -> None:
        """Execute well again."""
        self.chunk_seconds = 0.05
        self.mute = False
        self.termination = ExecuteChunk.Result.COMPLETED
        self.message = ""
        self.refusals = 1000
        self.replaced = 0
        self.fault = ""
        self.goals.clear()
        self.cancelled = 0

    def _execute(self, goal: ServerGoalHandle) -> ExecuteChunk.Result:
        self.goals.append(goal.request)
        number = len(self.goals)
        result = ExecuteChunk.Result(termination=self.termination, message=self.message)
        if self.termination != ExecuteChunk.Result.COMPLETED and number <= self.refusals:
            goal.abort()
            return result
        result = ExecuteChunk.Result()
        steps = 50
        for step in range(steps):
            if goal.is_cancel_requested:
                self.cancelled += 1
                goal.canceled()
                return ExecuteChunk.Result(termination=ExecuteChunk.Result.CANCELLED, steps_executed=step)
            if self.fault:
                goal.abort()
                return ExecuteChunk.Result(
                    termination=ExecuteChunk.Result.FAULT, message=self.fault, steps_executed=step
                )
            if len(self.goals) > number:
                self.replaced += 1
                goal.abort()
                return ExecuteChunk.Result(termination=ExecuteChunk.Result.REPLACED, steps_executed=step)
            if not self.mute:
                goal.publish_feedback(ExecuteChunk.Feedback(step=step, steps=steps))
            time.sleep(self.chunk_seconds / steps)
        result.steps_executed = steps
        goal.succeed()
        return result


class FakeGraph:
    """The planner's surroundings, spinning in a thread of their own."""

    def __init__(self, contract: Embodiment) -> None:
        self.context = Context()
        self.context.init()
        self._folder = tempfile.TemporaryDirectory()
        self._contract_file = Path(self._folder.name) / "small.yaml"
        self._contract_file.write_text(contract.to_yaml())
        self.robot = FakeRobot(contract, self.context)
        self.policy = FakePolicy(contract, self.context)
        self.second_scorer = FakePolicy(contract, self.context, "second_scorer")
        self.executor = FakeExecutor(self.context)
        self.listener = Node("listener", context=self.context)
        self.reports: list[PlanReport] = []
        self.cancelled: list[str] = []
        self.listener.create_subscription(
            String, CANCEL_TOPIC, lambda message: self.cancelled.append(message.data), CANCELLATIONS
        )
        self.listener.create_subscription(PlanReport, "/plan_report", self.reports.append, REPORTS)
        nodes = (self.robot, self.policy, self.second_scorer, self.executor, self.listener)
        self._spinning = ExitStack()
        self._spinning.enter_context(spinning(*nodes, threads=8))

    def reset(self) -> None:
        """Make everything healthy again."""
        self.robot.silent.clear()
        self.policy.reset()
        self.second_scorer.reset()
        self.executor.reset()
        self.robot.success.publish(Bool(data=False))
        self.robot.stop.publish(Bool(data=False))
        self.reports.clear()
        self.cancelled.clear()

    @contextmanager
    def planner(self, **parameters: object) -> Iterator[PlannerNode]:
        """A planner that is up, with shorter time-outs than its defaults."""
        chosen = {
            "embodiment": str(self._contract_file),
            "candidates": 4,
            "observation_timeout": 5.0,
            "server_timeout": 5.0,
            "policy_timeout": 5.0,
            "scoring_timeout": 5.0,
            "execution_timeout": 5.0,
            "success_grace": 0.1,
            **parameters,
        }
        overrides = [Parameter(name, value=value) for name, value in chosen.items()]
        node = PlannerNode(context=self.context, parameter_overrides=overrides)
        with spinning(node, threads=node.threads):
            try:
                assert node.start()
                yield node
            finally:
                node.stop()

    def close(self) -> None:
        """Leave."""
        self._spinning.close()
        self.context.try_shutdown()
        self._folder.cleanup()


def phases(feedback: list[RunTask.Feedback]) -> list[int]:
    """Phases in order of appearance, repeats merged."""
    merged: list[int] = []
    for item in feedback:
        if not merged or merged[-1] != item.phase:
            merged.append(item.phase)
    return merged
