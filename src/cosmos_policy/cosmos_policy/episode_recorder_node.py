"""Record episodes: one bag each, with the contract, the task and what came of it inside."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from aloha_nodes.qos import LATCHED, REPORTS
from aloha_nodes.running import run
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.planner.success import SuccessWatch
from cosmos_policy.recorder.disk import DiskThread
from cosmos_policy.recorder.events import event_message
from cosmos_policy.recorder.health import describe, diagnostics, summary
from cosmos_policy.recorder.intake import TELLS_INFO, Intake
from cosmos_policy.recorder.ros2bag import Ros2BagProcess, is_installed
from cosmos_policy.recorder.session import Session, Tape
from cosmos_policy.recorder.topics import EVENTS_TOPIC, SUCCESS_TOPIC, bag_topics, recorded_topics
from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.staging import FolderLock, leftovers, publish_closed
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CosmosPolicyError, RecordingError
from cosmos_policy_msgs.msg import EpisodeEvent, PlanReport
from cosmos_policy_msgs.srv import LabelEpisode

STATUS_TOPIC = "/run_task/_action/status"
AT_WORK = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)
TAIL = 0.3  # [s] recorded after a task, in which a last success report may come
TICK = 0.1  # [s]


class EpisodeRecorderNode(ManagedNode):
    """Write one bag per episode.

    Services ~/start, ~/stop, ~/discard (Trigger) and ~/label (LabelEpisode); with `tasks`, every /run_task is an
    episode by itself. Publishes what happens on /episode_events, latched. The instruction and the operator are
    parameters that may change between episodes. Where /task_success is published, it is the verdict; otherwise an
    operator labels.

    Nothing on the graph waits for this node: it subscribes best effort, decodes nothing and writes in a thread of its
    own. An episode appears in the folder when all of it is on the disk; whatever ends the process earlier costs at most
    the running episode, and the next start names it.
    """

    threads = 1  # of the services; messages are taken in a thread of their own

    def __init__(self, **options: Any) -> None:
        super().__init__("episode_recorder", **options)
        self._embodiment: str = self.declare("embodiment", "aloha", "Contract: a name that ships, or a YAML file.")
        self._folder = Path(self.declare("folder", "episodes", "Where the bags go.")).expanduser().resolve()
        self.declare("instruction", "", "What the next episode shows, in words.", read_only=False)
        self.declare("operator", "", "Who operates the robot.", read_only=False)
        self._images = self.declare("images", "raw", "Which images to record.", choices=("raw", "compressed"))
        self._tasks: bool = self.declare("tasks", False, "Make an episode of every /run_task.")
        self._storage = self.declare(
            "storage", "auto", "Who writes: `ros2 bag record` or this node.", choices=("auto", "ros2", "rosbags")
        )
        self._limit = (
            self.declare("queue_megabytes", 1024, "Messages that may wait for the disk [MB].", minimum=1) * 10**6
        )
        self._minimum = (
            self.declare("minimum_free_gigabytes", 2.0, "Free space at which an episode ends [GB].", minimum=0.0) * 1e9
        )
        self._group = MutuallyExclusiveCallbackGroup()
        self._intake: Intake | None = None
        self._lock: FolderLock | None = None
        self._session: Session | None = None
        self._success = SuccessWatch()
        self._task_runs = False
        self._ends_at: float | None = None
        self._planned = False
        self._next_report = 0.0
        self._events = self.create_publisher(EpisodeEvent, EVENTS_TOPIC, LATCHED)
        self._health = self.create_publisher(DiagnosticArray, "/diagnostics", REPORTS)
        self._listen()
        self._serve("start", self.start_episode)
        self._serve("stop", self.stop_episode)
        self._serve("discard", self.discard_episode)
        self.create_service(LabelEpisode, "~/label", self._on_label, callback_group=self._group)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(TICK, self._tick, callback_group=self._group, clock=steady)

    # Lifecycle ----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the folder, name what an earlier recorder left in it, and subscribe."""
        self._contract = Embodiment.load(self._embodiment)
        self._topics = recorded_topics(self._contract, self._images)
        self._bag_topics = bag_topics(self._topics)
        self._external = self._storage == "ros2" or (self._storage == "auto" and is_installed())
        if self._storage == "ros2" and not is_installed():
            raise RecordingError("ros2 bag with MCAP is not installed. Install rosbag2 or set storage to rosbags.")
        self._lock = FolderLock(self._folder)
        for path in publish_closed(self._folder):
            self.get_logger().info(f"{path}: an earlier recorder had no time to bring it to the disk; done now")
        for leftover in leftovers(self._folder):
            self.get_logger().warning(leftover.sentence)
        if self._intake is None:
            subscribed = [] if self._external else [topic for topic in self._topics if topic.name != EVENTS_TOPIC]
            self._intake = Intake(self, subscribed)
        self._intake.run()
        self._session = Session(self._folder, self._begin_tape, self._intake.lost)

    def activate(self) -> None:
        """Say where episodes go."""
        writer = "ros2 bag record" if self._external else "this node"
        self.get_logger().info(f"episodes go to {self._folder}, written by {writer}")

    def deactivate(self) -> None:
        """End a running episode and keep it."""
        if self._session is not None and self._session.running is not None:
            self._log(self._end, "The recorder was stopped.")

    def cleanup(self) -> None:
        """Leave the folder to others."""
        if self._intake is not None:
            self._intake.end()
        if self._lock is not None:
            self._lock.release()
        self._session = None

    # Verbs --------------------------------------------------------------------------------------------------------

    def start_episode(self) -> str:
        """Begin an episode and say its name; raises RecordingError."""
        session = self._ready()
        free = shutil.disk_usage(self._folder).free
        if free < self._minimum:
            raise RecordingError(f"{self._folder}: only {free / 1e9:.1f} GB are free. Make room, then start again.")
        record = EpisodeRecord(
            episode_id="",
            contract=self._contract.to_yaml(),
            instruction=self.get_parameter("instruction").value,
            operator=self.get_parameter("operator").value,
        )
        self._success.begin()
        self._planned = False
        running = session.start(record)
        self._tell(EpisodeEvent.STARTED, running.record)
        assert self._intake is not None
        self._intake.open(running.tape.put)
        return f"recording {running.record.episode_id}"

    def stop_episode(self) -> str:
        """End the episode, keep it, and say what is in it; raises RecordingError."""
        self._ready()
        return self._end("")

    def discard_episode(self) -> str:
        """Throw the running episode away; raises RecordingError."""
        session = self._ready()
        self._close_intake()
        if session.running is not None:
            self._tell(EpisodeEvent.DISCARDED, session.running.record)
        return f"{session.discard()} is discarded"

    def _end(self, comment: str) -> str:
        session = self._session
        if session is None or session.running is None:
            raise RecordingError("no episode is being recorded. Start one first.")
        verdict = self._verdict()
        self._close_intake()
        known = session.running.record
        self._tell(EpisodeEvent.STOPPED, known if known.outcome or not verdict else known.labelled(verdict))
        return summary(session.stop(verdict, comment))

    def _verdict(self) -> Outcome | None:
        """What /task_success says about the running episode, where anybody publishes it."""
        if self.count_publishers(SUCCESS_TOPIC) == 0:
            return None
        if self._success.left_over:
            self.get_logger().warning(f"{SUCCESS_TOPIC} still reports an earlier success. Label this episode by hand.")
            return None
        return Outcome.of(self._success.succeeded, float("nan"), SUCCESS_TOPIC)

    # Parts --------------------------------------------------------------------------------------------------------

    def _ready(self) -> Session:
        if not self.is_active or self._session is None:
            raise RecordingError(f"{self.get_name()} is {self.state}. Activate it first.")
        return self._session

    def _begin_tape(self, record: EpisodeRecord) -> Tape:
        if not self._external:
            return DiskThread(self._folder, record, self._bag_topics, self._limit)
        sim_time = bool(self.get_parameter("use_sim_time").value)
        before = self._listeners()

        def ready() -> bool:
            return bool(self._listeners() - before)

        return Ros2BagProcess(self._folder, record, self._topics, self._limit, sim_time, ready)

    def _listeners(self) -> set[bytes]:
        """Tell who listens to the events, others than the recorder among them."""
        return {bytes(found.endpoint_gid) for found in self.get_subscriptions_info_by_topic(EVENTS_TOPIC)}

    def _tell(self, event: int, record: EpisodeRecord) -> None:
        """Say something about an episode on the graph, and in its bag."""
        now = self.get_clock().now()
        message = event_message(event, record, self._contract.name, now.to_msg())
        running = self._session.running if self._session is not None else None
        if running is not None:
            running.tape.put(EVENTS_TOPIC, now.nanoseconds, serialize_message(message))
        self._events.publish(message)

    def _close_intake(self) -> None:
        if self._intake is not None:
            self._intake.close()

    def _log(self, verb: Callable[..., str], *words: str) -> None:
        """Do something that nobody waits for the answer of."""
        try:
            self.get_logger().info(verb(*words))
        except CosmosPolicyError as error:
            self.get_logger().error(str(error))

    def _serve(self, name: str, verb: Callable[[], str]) -> None:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = True, verb()
                self.get_logger().info(response.message)
            except CosmosPolicyError as error:
                response.success, response.message = False, str(error)
            return response

        self.create_service(Trigger, f"~/{name}", answer, callback_group=self._group)

    def _on_label(self, request: LabelEpisode.Request, response: LabelEpisode.Response) -> LabelEpisode.Response:
        try:
            judge = self.get_parameter("operator").value or "operator"
            outcome = Outcome.judged(request.success, round(request.success_score, 6), judge)  # a float32
            record = self._ready().label(outcome, request.comment)
            self._tell(EpisodeEvent.LABELLED, record)
            response.accepted, response.message = True, f"{record.episode_id}: {describe(outcome)}"
        except CosmosPolicyError as error:
            response.accepted, response.message = False, str(error)
        return response

    def _listen(self) -> None:
        def take(message: Bool, info: dict[str, Any]) -> None:
            self._success.report(message, info)

        def take_alone(message: Bool) -> None:
            take(message, {"source_timestamp": time.time_ns()})

        options: dict[str, Any] = {"callback_group": self._group}
        self.create_subscription(Bool, SUCCESS_TOPIC, take if TELLS_INFO else take_alone, LATCHED, **options)
        self.create_subscription(PlanReport, REPORTS_TOPIC, self._on_plan, REPORTS, raw=True, **options)
        self.create_subscription(GoalStatusArray, STATUS_TOPIC, self._on_tasks, LATCHED, **options)

    def _on_plan(self, data: bytes) -> None:
        """Note with which checkpoints and for which task the episode was planned."""
        if self._planned or self._session is None or self._session.running is None:
            return
        self._planned = True
        report: PlanReport = deserialize_message(data, PlanReport)
        self._session.amend(
            lambda record: replace(
                record,
                instruction=report.instruction or record.instruction,
                policy_checkpoint=report.policy_checkpoint,
                planning_checkpoint=report.planning_checkpoint,
            )
        )

    def _on_tasks(self, message: GoalStatusArray) -> None:
        """Begin an episode with a task, and end it a moment after."""
        runs = any(goal.status in AT_WORK for goal in message.status_list)
        if not self._tasks or not self.is_active or runs == self._task_runs:
            return
        self._task_runs = runs
        if not runs:
            self._ends_at = time.monotonic() + TAIL
            return
        self._end_task()
        self._log(self.start_episode)

    def _end_task(self) -> None:
        """Keep the episode of a task that is over, unless nothing was ever planned in it."""
        if self._ends_at is None:
            return
        self._ends_at = None
        if self._session is not None and self._session.running is not None:
            self._log(self.stop_episode if self._planned else self.discard_episode)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._ends_at is not None and now >= self._ends_at:
            self._end_task()
        if self._session is None or now < self._next_report:
            return
        self._next_report = now + 1.0
        free = shutil.disk_usage(self._folder).free
        running = self._session.running
        lost = self._intake.lost() if self._intake is not None else {}
        self._health.publish(diagnostics(running, lost, free, self.get_clock().now().to_msg()))
        failure = running.tape.failure if running is not None else None
        if failure is not None:
            self.get_logger().error(str(failure))
            self._log(self._end, "")
        elif running is not None and free < self._minimum:
            self._log(self._end, f"Ended early: only {free / 1e9:.1f} GB were free.")


def main(args: list[str] | None = None) -> int:
    """Run the recorder."""
    return run(EpisodeRecorderNode, args)


if __name__ == "__main__":
    sys.exit(main())
