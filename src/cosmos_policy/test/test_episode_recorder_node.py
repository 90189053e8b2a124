"""The recorder beside a robot on the graph: what ends up in the folder, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from executor_rig import PATIENCE, wait_until
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from robot_messages import image, joint_state
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from aloha_nodes.qos import LATCHED, REPORTS, SENSOR_DATA
from aloha_nodes.spinning import spinning
from cosmos_policy.episode_recorder_node import STATUS_TOPIC, EpisodeRecorderNode
from cosmos_policy.recorder.disk import DiskThread
from cosmos_policy.recorder.keys import Keys, Remote
from cosmos_policy.recorder.topics import EVENTS_TOPIC
from cosmos_policy_core.data.bags.episodes import read_bag
from cosmos_policy_core.data.bags.reading import Bag, read_counts, read_record
from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.data.bags.staging import FOLDER
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import RecordingError
from cosmos_policy_msgs.msg import EpisodeEvent, PlanReport
from cosmos_policy_msgs.srv import LabelEpisode

TASK = "transfer the cube to the left arm"


def small_contract() -> Embodiment:
    shipped = Embodiment.load("aloha_sim")
    cameras = tuple(camera.model_copy(update={"width": 32, "height": 24}) for camera in shipped.cameras)
    return shipped.model_copy(update={"cameras": cameras})


class Robot(Node):  # type: ignore[misc]
    """Cameras and arms that speak at their rates, stamped with the wall clock, and a cell that knows of success."""

    def __init__(self, contract: Embodiment) -> None:
        super().__init__("robot")
        self.contract = contract
        now = self.get_clock().now()
        self._cameras = [
            (self.create_publisher(type(image(c, now)), c.topic, SENSOR_DATA), c) for c in contract.cameras
        ]
        self._states = [(self.create_publisher(JointState, a.state_topic, SENSOR_DATA), a) for a in contract.arms]
        self._commands = [(self.create_publisher(JointState, a.command_topic, REPORTS), a) for a in contract.arms]
        self.success = self.create_publisher(Bool, "/task_success", LATCHED)
        self.tasks = self.create_publisher(GoalStatusArray, STATUS_TOPIC, LATCHED)
        self.plans = self.create_publisher(PlanReport, "/plan_report", REPORTS)
        self.create_timer(0.04, self._see)
        self.create_timer(0.02, self._move)

    def _see(self) -> None:
        now = self.get_clock().now()
        for publisher, camera in self._cameras:
            publisher.publish(image(camera, now))

    def _move(self) -> None:
        now = self.get_clock().now()
        for publisher, arm in self._states:
            publisher.publish(joint_state(arm, now))
        commands = self.contract.commands_from_action(self.contract.start_action)
        for publisher, arm in self._commands:
            names, positions = commands[arm.name]
            message = JointState(name=names, position=positions)
            message.header.stamp = now.to_msg()
            publisher.publish(message)

    def task(self, status: int) -> None:
        self.tasks.publish(GoalStatusArray(status_list=[GoalStatus(status=status)]))


class Operator(Node):  # type: ignore[misc]
    """Calls the recorder's services and hears what it says."""

    def __init__(self) -> None:
        super().__init__("operator")
        self.events: list[EpisodeEvent] = []
        self.create_subscription(EpisodeEvent, EVENTS_TOPIC, self.events.append, LATCHED)
        self._verbs = {verb: self.create_client(Trigger, f"/episode_recorder/{verb}") for verb in VERBS}
        self._label = self.create_client(LabelEpisode, "/episode_recorder/label")

    def wait(self) -> None:
        for client in (*self._verbs.values(), self._label):
            assert client.wait_for_service(timeout_sec=PATIENCE)
        time.sleep(0.2)  # the server must know the client, or its first answer gets lost

    def call(self, verb: str) -> Trigger.Response:
        return self._ask(self._verbs[verb], Trigger.Request())

    def label(self, success: bool, score: float = float("nan"), comment: str = "") -> LabelEpisode.Response:
        return self._ask(self._label, LabelEpisode.Request(success=success, success_score=score, comment=comment))

    def _ask(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        wait_until(future.done, "the recorder's answer")
        return future.result()


class BreakingTape(DiskThread):
    """A tape that reports a failure, and can be ended in order all the same, as `ros2 bag record` can."""

    def __init__(self, rig: Rig, record: EpisodeRecord) -> None:
        self._closing = False
        super().__init__(rig.folder, record, rig.recorder._bag_topics, 10**9)

    @property
    def failure(self) -> RecordingError | None:  # type: ignore[override]
        return None if self._closing else RecordingError("the other process is gone")

    @failure.setter
    def failure(self, _: RecordingError | None) -> None: ...

    def finish(self, record: EpisodeRecord) -> Path:
        self._closing = True
        return super().finish(record)


VERBS = ("start", "stop", "discard")


class Rig:
    def __init__(self, recorder: EpisodeRecorderNode, robot: Robot, operator: Operator, folder: Path) -> None:
        self.recorder, self.robot, self.operator, self.folder = recorder, robot, operator, folder
        self.contract = robot.contract

    def bags(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.name != FOLDER)

    def recorded(self, count: int) -> None:
        """Wait until every camera has so many images in the running episode."""
        session = self.recorder._session
        assert session is not None
        wait_until(
            lambda: (
                session.running is not None
                and all(session.running.tape.written[camera.topic] >= count for camera in self.contract.cameras)
            ),
            "images in the bag",
        )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "contract.yaml").write_text(small_contract().to_yaml())
    contract = Embodiment.load(folder / "contract.yaml")
    rclpy.init()
    values = {
        "embodiment": str(folder / "contract.yaml"),
        "folder": str(folder / "episodes"),
        "instruction": TASK,
        "operator": "Ada",
        "tasks": True,
        "minimum_free_gigabytes": 0.0,
        "storage": "rosbags",
    }
    recorder = EpisodeRecorderNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    robot, operator = Robot(contract), Operator()
    with ExitStack() as stack:
        stack.callback(rclpy.try_shutdown)
        stack.enter_context(spinning(recorder))
        stack.enter_context(spinning(robot, operator))
        assert recorder.start()
        operator.wait()
        wait_until(lambda: robot.success.get_subscription_count() >= 2, "the recorder's ears")
        wait_until(lambda: robot.plans.get_subscription_count() >= 2, "the recorder's ears")
        yield Rig(recorder, robot, operator, folder / "episodes")
        recorder.stop()


def test_an_episode_holds_everything_the_robot_said_and_what_it_is_about(rig: Rig) -> None:
    rig.robot.success.publish(Bool(data=False))
    assert rig.operator.call("start").success
    rig.recorded(8)
    rig.robot.success.publish(Bool(data=True))
    wait_until(lambda: rig.recorder._success.succeeded, "the success")
    answer = rig.operator.call("stop")
    bag = rig.bags()[-1]
    assert answer.success
    assert answer.message.startswith(f"{bag}: ")
    assert answer.message.endswith("success (score 1, /task_success)")
    assert [file.name for file in sorted(bag.iterdir())] == [f"{bag.name}_0.mcap", "metadata.yaml"]
    result = read_bag(bag, rig.contract)
    assert len(result.episode) >= 5
    assert (result.record.instruction, result.record.operator) == (TASK, "Ada")
    assert Embodiment.from_yaml(result.record.contract) == rig.contract
    assert result.record.outcome is not None
    assert result.record.outcome.judge == "/task_success"


def test_the_bag_carries_the_same_facts_as_messages(rig: Rig) -> None:
    rig.operator.call("start")
    rig.recorded(1)
    rig.operator.call("stop")
    with Bag(rig.bags()[-1]) as bag:
        events = [bag.decode(message) for message in bag.messages([EVENTS_TOPIC])]
    assert [event.event for event in events] == [EpisodeEvent.STARTED, EpisodeEvent.STOPPED]
    assert events[0].contract_yaml == rig.contract.to_yaml()
    assert events[1].episode_id == bag.path.name
    assert rig.operator.events[-1].event == EpisodeEvent.STOPPED


def test_a_discarded_episode_leaves_nothing(rig: Rig) -> None:
    before = rig.bags()
    rig.operator.call("start")
    rig.recorded(1)
    assert rig.operator.call("discard").success
    assert rig.bags() == before
    assert [path.name for path in (rig.folder / FOLDER).iterdir()] == ["lock"]


def test_a_partial_score_can_be_given_after_the_episode_and_keeps_its_scale(rig: Rig) -> None:
    rig.operator.call("start")
    rig.recorded(1)
    rig.operator.call("stop")
    answer = rig.operator.label(False, 0.4, "dropped it")
    bag = rig.bags()[-1]
    assert answer.accepted
    assert answer.message == f"{bag.name}: failure (score 0.4, Ada)"
    record = read_record(bag)
    assert record.outcome is not None
    assert (record.outcome.success, round(record.outcome.score, 3), record.comment) == (False, 0.4, "dropped it")


def test_a_verdict_of_the_operator_is_not_overruled_by_the_simulator(rig: Rig) -> None:
    rig.robot.success.publish(Bool(data=False))
    rig.operator.call("start")
    rig.recorded(1)
    rig.operator.label(True)
    rig.operator.call("stop")
    assert read_record(rig.bags()[-1]).outcome.judge == "Ada"


def test_a_score_beyond_its_range_is_refused(rig: Rig) -> None:
    rig.operator.call("start")
    answer = rig.operator.label(True, 1.5)
    rig.operator.call("discard")
    assert not answer.accepted
    assert "success score of 1.5" in answer.message


def test_a_score_that_contradicts_the_verdict_is_refused(rig: Rig) -> None:
    rig.operator.call("start")
    answers = [rig.operator.label(True, 0.2), rig.operator.label(False, 1.0)]
    rig.operator.call("discard")
    assert [answer.accepted for answer in answers] == [False, False]
    assert "a success with a score of 0.2 contradicts itself" in answers[0].message


def test_an_episode_whose_tape_breaks_is_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(rig.bags())
    with monkeypatch.context() as patched:
        patched.setattr(rig.recorder._session, "_begin_tape", lambda record: BreakingTape(rig, record))
        rig.operator.call("start")
    wait_until(lambda: len(rig.bags()) == before + 1, "the end of the episode")
    assert "Ended early: the other process is gone" in read_record(rig.bags()[-1]).comment


def test_a_listener_who_was_there_before_is_not_taken_for_the_recording_process(rig: Rig) -> None:
    before = rig.recorder._listeners()
    assert before, "the operator listens"
    assert rig.recorder._listeners() == before
    late = rig.operator.create_subscription(EpisodeEvent, EVENTS_TOPIC, lambda _: None, LATCHED)
    wait_until(lambda: bool(rig.recorder._listeners() - before), "the new listener")
    rig.operator.destroy_subscription(late)


def test_verbs_out_of_turn_say_what_to_do(rig: Rig) -> None:
    for verb in ("stop", "discard"):
        answer = rig.operator.call(verb)
        assert not answer.success
        assert answer.message == "no episode is being recorded. Start one first."
    rig.operator.call("start")
    second = rig.operator.call("start")
    rig.operator.call("discard")
    assert not second.success
    assert "is being recorded. Stop or discard it first." in second.message


def test_a_task_is_an_episode_with_the_plans_instruction_and_checkpoints(rig: Rig) -> None:
    before = len(rig.bags())
    rig.robot.success.publish(Bool(data=False))
    rig.robot.task(GoalStatus.STATUS_EXECUTING)
    rig.recorded(2)
    rig.robot.plans.publish(
        PlanReport(instruction="fold the shirt", policy_checkpoint="nano", planning_checkpoint="wm")
    )
    wait_until(lambda: rig.recorder._planned, "the plan")
    rig.robot.task(GoalStatus.STATUS_ABORTED)
    wait_until(lambda: len(rig.bags()) == before + 1, "the bag of the task")
    record = read_record(rig.bags()[-1])
    assert (record.instruction, record.policy_checkpoint, record.planning_checkpoint) == (
        "fold the shirt",
        "nano",
        "wm",
    )
    assert record.outcome is not None
    assert not record.outcome.success


def test_a_task_without_a_plan_leaves_no_episode(rig: Rig) -> None:
    before = rig.bags()
    rig.robot.task(GoalStatus.STATUS_EXECUTING)
    rig.recorded(1)
    rig.robot.task(GoalStatus.STATUS_ABORTED)
    wait_until(lambda: rig.recorder._session.running is None, "the end")
    assert rig.bags() == before


def test_what_got_lost_on_the_way_is_counted_per_topic(rig: Rig) -> None:
    topic = rig.contract.cameras[0].topic
    rig.operator.call("start")
    rig.recorded(2)
    arrivals = rig.recorder._intake._arrivals[topic]  # type: ignore[union-attr]
    arrivals.last_number -= 3  # as if three had been sent in between
    rig.recorded(6)
    answer = rig.operator.call("stop")
    assert f"lost: {topic} 3" in answer.message
    assert read_record(rig.bags()[-1]).lost == {topic: {"transport": 3}}


def test_the_counts_in_the_metadata_are_those_of_the_bag(rig: Rig) -> None:
    bag = rig.bags()[0]
    counts = read_counts(bag)
    with Bag(bag) as opened:
        for topic in counts:
            assert sum(1 for _ in opened.messages([topic])) == counts[topic]


def test_a_recorder_that_is_deactivated_keeps_the_running_episode(rig: Rig) -> None:
    before = len(rig.bags())
    rig.operator.call("start")
    rig.recorded(2)
    rig.recorder.trigger_deactivate()
    assert len(rig.bags()) == before + 1
    assert "The recorder was stopped." in read_record(rig.bags()[-1]).comment
    assert not rig.operator.call("start").success
    rig.recorder.trigger_activate()


def test_messages_are_stored_as_they_were_sent(rig: Rig) -> None:
    with Bag(rig.bags()[0]) as bag:
        message = next(iter(bag.messages([rig.contract.cameras[0].topic])))
    stored = deserialize_message(message.data, Image)
    assert stored == image(rig.contract.cameras[0], rclpy.time.Time.from_msg(stored.header.stamp))


def test_keys_start_end_and_judge_an_episode(rig: Rig) -> None:
    before, said = len(rig.bags()), []
    keys = Keys(Remote(rig.operator), said.append)
    assert keys.press(" ")
    rig.recorded(1)
    assert keys.press(" ")
    assert keys.press("7")
    assert keys.press("?")
    assert not keys.press("q")
    assert len(rig.bags()) == before + 1
    name = rig.bags()[-1].name
    assert said[0] == f"recording {name}"
    assert said[2] == f"{name}: failure (score 0.7, Ada)"
    assert said[3].startswith("space  start")
