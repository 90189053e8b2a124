"""The state machine that turns action chunks into one command per tick."""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution.checks import FUTURE_TOLERANCE, Chunk, Refusal, check_chunk, check_distance
from cosmos_policy_core.execution.handover import ChunkPlan, Course, due_position, plan_chunk, steps_passed
from cosmos_policy_core.execution.limits import NOTICEABLE, Limiter
from cosmos_policy_core.execution.modes import Mode
from cosmos_policy_core.execution.progress import MotionClock
from cosmos_policy_core.execution.run import Run
from cosmos_policy_core.execution.settings import ExecutorSettings
from cosmos_policy_core.execution.states import JointStates
from cosmos_policy_core.execution.termination import Termination
from cosmos_policy_core.execution.timing import PeriodStatistics
from cosmos_policy_core.execution.trajectory import Motion, Spline, brake

Vector = NDArray[np.float64]

# A tick may come this many periods late before the chunk waits for it instead of skipping ahead.
LATEST_TICK = 2.0

# Times its velocity limit: a measured joint that moved faster while its pose was held was moved by something else.
IMPOSSIBLE_SPEED = 2.0


class Activity(Enum):
    """What the executor does with the arms."""

    SILENT = "silent"  # no commands: the drivers hold by themselves
    RUNNING = "running"
    BRAKING = "braking"  # a run was cut; coming to rest
    HOLDING = "holding"  # the last command, over and over


class ChunkExecutor:
    """Execute chunks one at a time; a new one takes over from the commanded motion without a stop or a jolt.

    Driven by :meth:`tick` at the command rate; time is always passed in [s] on one clock. Not thread-safe.

    It is silent until the first chunk, holds the last command after a chunk, and falls silent again on an emergency
    stop, on shutdown, when the arms were taken elsewhere while it held, and whenever an arm faults or is not heard: a
    driver that has its arm back holds it where it is by then, and no old command may pull it away. Chunk time follows
    the given clock but never more than two command periods per tick: after a stall the arms go on from where they were
    instead of catching up.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self.activity = Activity.SILENT
        self.periods = PeriodStatistics(settings.command_period)
        self._limiter = Limiter(settings.lower, settings.upper, settings.velocity)
        size = len(settings.joint_names)
        self._command: Vector = np.zeros(size)
        self._previous: Vector = np.zeros(size)
        self._wanted: Vector = np.zeros(size)
        self._scratch: Vector = np.zeros(size)
        self._seen: Vector = np.full(size, np.nan)  # where the arms were at the last tick that held
        self._course: Course | Spline | None = None
        self._action_times: list[float] = []
        self._time = 0.0  # since the start of the course [s]
        self._blend = 0.0  # [s] of the course that blend the motion before out
        self._moving_time = MotionClock()
        self._last_tick: float | None = None
        self._last_step = settings.command_period
        self._run: Run | None = None
        self._verdict: tuple[Termination, str] | None = None  # of a run that is braking
        self._stop_reason: str | None = None
        self.faults: dict[str, str] = {}  # by arm

    # Goals --------------------------------------------------------------------------------------------------------

    def start(
        self,
        chunk: Chunk,
        now: float,
        states: JointStates,
        *,
        steps: int = 0,
        replace: bool = True,
        mode: Mode = Mode.HOLD,
    ) -> Run:
        """Begin a chunk, or return a run that has already ended with the reason why it is refused.

        A refused chunk changes nothing; a good one ends the running one as REPLACED unless `replace` is false.

        Args:
            steps: actions to execute, counted from the start of the chunk; 0: the contract's number.
            mode: whether the chunk's first action comes next (HOLD), or the one that is due by now.
        """
        run = Run(steps or self.settings.executed_steps, mode if self._in_motion else Mode.HOLD)
        elapsed = 0.0 if mode is Mode.HOLD else self._moving_time.since(chunk.observation_stamp)
        refusal = self._refusal(chunk, steps, now, states, replace) or self._misfit(chunk, run.steps, elapsed, states)
        if refusal is not None:
            return run.refuse(refusal.reason, refusal.message)
        actions = np.asarray(chunk.positions, dtype=np.float64).reshape(self.settings.horizon, -1)[: run.steps]
        actions = np.clip(actions, self.settings.lower, self.settings.upper)
        motion = self._motion(states)
        self._end(Termination.REPLACED, "a newer goal took over")
        self._take_over(run, motion, plan_chunk(motion, actions, self.settings.bounds, elapsed, not self._in_motion))
        if not self._in_motion:
            run.idle = now - self._moving_time.last if self.activity is Activity.HOLDING else 0.0
            self._moving_time.start(now)
        if self.activity is Activity.SILENT:
            self._command[:] = motion.position
            self._previous[:] = motion.position
        self._run, self.activity = run, Activity.RUNNING
        self.periods.restart()
        return run

    def _take_over(self, run: Run, motion: Motion, plan: ChunkPlan) -> None:
        self._course, self._action_times, self._time = plan.course, plan.action_times, 0.0
        self._blend, run.steps_dropped = plan.blend, plan.dropped
        ticks = np.arange(0.0, plan.seam + self.settings.command_period, self.settings.command_period)
        accelerations = np.delete(plan.course.accelerations(ticks), self.settings.grippers, axis=1)
        run.seam_acceleration = float(np.abs(accelerations).max(initial=0.0))

    @property
    def _in_motion(self) -> bool:
        return self.activity in (Activity.RUNNING, Activity.BRAKING)

    def cancel(self, run: Run) -> None:
        """Bring a run to rest; it ends as CANCELLED when the arms are commanded to stand still."""
        if run is self._run:
            self._cut(Termination.CANCELLED, "the client cancelled the goal; the arms hold")

    @property
    def run(self) -> Run | None:
        """The run that has not ended yet."""
        return self._run

    # Stops --------------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Latch the emergency stop: silent at once, whatever was going on."""
        self._stop_reason = reason
        self._end(Termination.EMERGENCY_STOP, self._stop_message())
        self.activity = Activity.SILENT

    def release(self) -> None:
        """Allow goals again. Nothing moves until a new one arrives."""
        self._stop_reason = None

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is latched."""
        return self._stop_reason is not None

    def set_fault(self, arm: str, description: str) -> None:
        """Note a fault that an arm reports, or with an empty description that it is over; a fault brakes both arms."""
        if description:
            self.faults[arm] = description
            self._cut(Termination.FAULT, self._fault_message())
        elif self.faults.pop(arm, None) is None:
            return
        elif self.activity is Activity.BRAKING:  # the drivers stopped when the fault came, and would follow from now on
            self._end(*(self._verdict or (Termination.FAULT, "")))
            self.activity = Activity.SILENT
        if self.activity is Activity.HOLDING:
            self.activity = Activity.SILENT

    def shut_down(self) -> Vector | None:
        """End everything; return a last command to hold, or None where nothing was being commanded."""
        self._end(
            Termination.SHUTDOWN,
            "the executor is being deactivated; the arms hold. Activate it and send the goal again",
        )
        commanding = self.activity is not Activity.SILENT
        self.activity = Activity.SILENT
        self._last_tick = None
        return self._command if commanding else None

    # Time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: float, states: JointStates, measured_time: float | None = None) -> Vector | None:
        """Advance to `now` and return the (A,) command to send, or None to stay silent.

        The vector is reused by the next tick.

        Args:
            now: the clock that states are stamped with [s].
            measured_time: another clock for the period statistics, where `now` is simulated or adjusted [s].
        """
        elapsed = 0.0 if self._last_tick is None else now - self._last_tick
        self._last_tick = now
        if self.activity is Activity.SILENT:
            self.periods.pause()
            return None
        self.periods.tick(now if measured_time is None else measured_time)
        if self.activity is Activity.HOLDING:
            return self._hold(now, states, elapsed)
        if self.activity is Activity.RUNNING:
            self._watch_states(now, states, self._stall(elapsed))
        self._advance(min(max(elapsed, 0.0), LATEST_TICK * self.settings.command_period))
        return self._command

    def _hold(self, now: float, states: JointStates, elapsed: float) -> Vector | None:
        """Repeat the last command, unless an arm fell silent, or was taken elsewhere by a hand or a reset."""
        lost = not self._is_heard(states.age(now) - self._stall(elapsed))
        if states.complete and (lost or self._jumped(states, elapsed) or self._is_far(states)):
            self.activity = Activity.SILENT
            return None
        return self._command

    def _jumped(self, states: JointStates, elapsed: float) -> bool:
        """Whether an arm is where no motion could have brought it since the last tick: the cell was reset."""
        np.subtract(states.position, self._seen, out=self._scratch)
        np.abs(self._scratch, out=self._scratch)
        self._scratch[list(self.settings.grippers)] = 0.0
        self._seen[:] = states.position
        reach = IMPOSSIBLE_SPEED * max(elapsed, self.settings.command_period)
        return bool((self._scratch > reach * self.settings.velocity).any())

    def _is_far(self, states: JointStates) -> bool:
        return self.tracking_error(states) > self.settings.start_distance

    def tracking_error(self, states: JointStates) -> float:
        """Largest distance of the last command from the measured pose, without grippers [rad]; NaN when unknown."""
        np.subtract(self._command, states.position, out=self._scratch)
        np.abs(self._scratch, out=self._scratch)
        self._scratch[list(self.settings.grippers)] = 0.0
        return float(self._scratch.max())

    def _advance(self, elapsed: float) -> None:
        assert self._course is not None
        self._time += elapsed
        self._moving_time.advance(self._last_tick or 0.0, elapsed)
        self._course.position(self._time, self._wanted)
        self._previous[:] = self._command
        step = min(elapsed, self.settings.command_period)
        clamped = self._limiter.limit(self._wanted, self._command, step, self._command)
        self._last_step = step
        run = self._run
        if run is not None:
            run.clamped = clamped
            run.steps_clamped += clamped
        if self.activity is Activity.RUNNING and run is not None:
            run.steps_executed = bisect_right(self._action_times, self._time + 1e-6)
            run.steps_blended = bisect_right(self._action_times, min(self._time, self._blend) + 1e-6)
        if self._time >= self._course.duration and self._arrived():
            termination, message = self._verdict or (Termination.COMPLETED, "")
            lost = bool(self.faults) or termination is Termination.STATES_LOST
            self.activity = Activity.SILENT if lost else Activity.HOLDING
            self._seen[:] = np.nan  # nothing is a jump from NaN
            self._end(termination, message)

    def _arrived(self) -> bool:
        """Whether the command stands where the course ends, or as near as the position limits let it."""
        np.clip(self._wanted, self.settings.lower, self.settings.upper, out=self._scratch)
        np.subtract(self._scratch, self._command, out=self._scratch)
        np.abs(self._scratch, out=self._scratch)
        return bool(self._scratch.max() <= NOTICEABLE)

    # Endings ------------------------------------------------------------------------------------------------------

    def _cut(self, reason: Termination, message: str) -> None:
        """Brake; the run ends with this reason once at rest. The first reason stays."""
        if self.activity is not Activity.RUNNING:
            return
        motion = self._moving()
        self._course, self._time = brake(motion, self._brake_time(motion)), 0.0
        self._verdict = (reason, message)
        self.activity = Activity.BRAKING

    def _brake_time(self, motion: Motion) -> float:
        """As hard from any speed as from full speed, so that slow arms stand still sooner [s]."""
        share = float(np.max(np.abs(motion.velocity) / self.settings.velocity))
        return max(min(share, 1.0) * self.settings.brake_time, self.settings.command_period)

    def _end(self, reason: Termination, message: str) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.outcome, run.message = self._verdict or (reason, message)
            run.period_error_p50, run.period_error_p99 = self.periods.quantile(0.5), self.periods.quantile(0.99)
        self._verdict = None

    def _watch_states(self, now: float, states: JointStates, stall: float) -> None:
        age = states.age(now) - stall
        if self._is_heard(age):
            return
        arm = self.settings.arm_names[states.oldest()]
        self._cut(
            Termination.STATES_LOST,
            f"{self._silence(arm, age)}; the arms hold. Check the arm's driver, its cable and power",
        )

    def _is_heard(self, age: float) -> bool:
        return -FUTURE_TOLERANCE <= age <= self.settings.state_timeout

    def _stall(self, elapsed: float) -> float:
        """How long the executor itself did not run; states that came meanwhile are still to be read [s]."""
        return max(elapsed - LATEST_TICK * self.settings.command_period, 0.0)

    def _silence(self, arm: str, age: float) -> str:
        if age < 0:
            return f"{arm}: the joint states are {-age:.2f} s ahead of the clock, which jumped back"
        allowed = self.settings.state_timeout
        return f"{arm}: no usable joint states for {1e3 * age:.0f} ms ({1e3 * allowed:.0f} ms are allowed)"

    # Decisions ----------------------------------------------------------------------------------------------------

    def _refusal(self, chunk: Chunk, steps: int, now: float, states: JointStates, replace: bool) -> Refusal | None:
        if self.stopped:
            return Refusal(Termination.EMERGENCY_STOP, self._stop_message())
        if self.faults:
            return Refusal(Termination.FAULT, self._fault_message())
        if self.activity is Activity.RUNNING and not replace:
            return Refusal(
                Termination.BUSY, "another chunk is running. Wait for its result, cancel it, or send REPLACE_NOW."
            )
        return check_chunk(chunk, steps, self.settings, now) or self._states_refusal(now, states)

    def _states_refusal(self, now: float, states: JointStates) -> Refusal | None:
        arm = self.settings.arm_names[states.oldest()]
        if not states.complete:
            return Refusal(
                Termination.NOT_READY,
                f"{arm}: no usable joint states yet. Start the arm's driver and look at its diagnostics.",
            )
        age = states.age(now) - (0.0 if self._last_tick is None else self._stall(now - self._last_tick))
        if not self._is_heard(age):
            return Refusal(
                Termination.STATES_LOST, f"{self._silence(arm, age)}. Check the arm's driver, its cable and power."
            )
        return None

    def _misfit(self, chunk: Chunk, count: int, elapsed: float, states: JointStates) -> Refusal | None:
        """Refuse a chunk that is over by now, or whose next action is far from the arms."""
        period = self.settings.period
        if steps_passed(elapsed, period) >= count:
            return Refusal(
                Termination.STALE,
                f"chunk.observation_stamp: the arms have moved for {elapsed:.2f} s since, which is all of the {count} "
                "actions. Plan in less time than a chunk takes.",
            )
        # While moving, the arms lag behind their command by design; the command is what the chunk takes over from.
        pose = self._command if self._in_motion else states.position
        actions = np.asarray(chunk.positions, dtype=np.float64).reshape(self.settings.horizon, -1)
        return check_distance(due_position(actions[:count], elapsed, period), pose, self.settings)

    def _motion(self, states: JointStates) -> Motion:
        """Where a new chunk takes over: from what is commanded, or from the arms when nothing is."""
        rest = np.zeros_like(self._command)
        if self.activity is Activity.SILENT:
            return Motion(states.position.copy(), rest, rest)
        return Motion(self._command.copy(), rest, rest) if self.activity is Activity.HOLDING else self._moving()

    def _moving(self) -> Motion:
        assert self._course is not None
        if self._run is not None and self._run.clamped and self._last_step > 0:
            # A limited command is not on its course: go by what was really sent.
            velocity = (self._command - self._previous) / self._last_step
            return Motion(self._command.copy(), velocity, np.zeros_like(velocity))
        motion = self._course.motion(self._time)
        return Motion(self._command.copy(), motion.velocity, motion.acceleration)

    def _stop_message(self) -> str:
        return (
            f"the emergency stop is latched ({self._stop_reason}). Release it with the service /emergency_stop/set, "
            "data: false."
        )

    def _fault_message(self) -> str:
        arm, description = next(iter(self.faults.items()))
        return f"{arm}: {description}. Clear the fault at the arm's driver; the arms hold until then."
