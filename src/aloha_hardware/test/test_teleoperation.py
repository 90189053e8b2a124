"""Followers do what leaders do, when it is safe, and nothing otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.errors import SettingsError
from aloha_hardware.teleop.following import Phase, Seen, Teleoperation
from aloha_hardware.teleop.settings import TeleopSettings
from aloha_hardware.teleop.simulated import KeyedLeaders, rehearsed

SETTINGS = TeleopSettings()
ARMS = (*SETTINGS.leaders, *SETTINGS.followers)
START = np.array(ArmSettings().start_pose)
START_POSE = tuple(ArmSettings().start_pose)
CLOSED = SETTINGS.leader_gripper[0]


def leader_pose(offset: float = 0.0, gripper: float = CLOSED) -> np.ndarray:
    pose = START + offset
    pose[-1] = gripper
    return pose


def follower_pose() -> np.ndarray:
    pose = START.copy()
    pose[-1] = SETTINGS.follower_gripper[0]
    return pose


class Bench:
    """Arms that obey at once, and a clock."""

    def __init__(self, settings: TeleopSettings = SETTINGS) -> None:
        self.teleoperation, self.settings = Teleoperation(settings), settings
        self.now = 100.0
        self.poses = {name: leader_pose() for name in settings.leaders}
        self.poses |= {name: follower_pose() for name in settings.followers}
        self.silent: set[str] = set()
        self.times = dict.fromkeys(ARMS, self.now)

    def tick(self, seconds: float = 0.0) -> dict[str, np.ndarray]:
        commands: dict[str, np.ndarray] = {}
        for _ in range(max(1, round(seconds * self.settings.rate))):
            self.now += self.settings.period
            self.times |= {name: self.now for name in ARMS if name not in self.silent}
            seen = {name: Seen(pose.copy(), self.times[name]) for name, pose in self.poses.items()}
            commands = self.teleoperation.tick(self.now, seen)
            self.poses |= {name: pose.copy() for name, pose in commands.items()}
        return commands

    @property
    def phase(self) -> Phase:
        return self.teleoperation.phase

    def lead(self, offset: float, gripper: float = CLOSED) -> None:
        self.poses |= {name: leader_pose(offset, gripper) for name in self.settings.leaders}


def test_followers_are_ramped_to_their_leaders_and_then_follow() -> None:
    bench = Bench()
    bench.lead(0.3)
    first = bench.tick()["follower_left"]
    assert np.abs(first - follower_pose())[:-1].max() < 0.01
    assert bench.phase is Phase.ALIGNING
    bench.tick(3.0)
    assert bench.phase.value == "following"
    bench.lead(0.35)
    command = bench.tick(0.2)["follower_right"]
    assert command[:-1] == pytest.approx(START[:-1] + 0.35)


def test_the_ramp_is_no_faster_than_it_may_be() -> None:
    bench = Bench()
    bench.lead(1.0)
    last, fastest = bench.tick()["follower_left"], 0.0
    while bench.phase is Phase.ALIGNING:
        command = bench.tick()["follower_left"]
        fastest, last = max(fastest, np.abs(command - last)[:-1].max() * SETTINGS.rate), command
    assert 0.3 < fastest <= SETTINGS.align_speed * 1.01


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, SETTINGS.follower_gripper[0]), (1.0, SETTINGS.follower_gripper[1]), (0.5, 0.43485)]
)
def test_grippers_open_by_the_same_share_of_their_own_way(share: float, expected: float) -> None:
    closed, opened = SETTINGS.leader_gripper
    assert SETTINGS.follower_target(leader_pose(0.0, closed + share * (opened - closed)))[-1] == pytest.approx(expected)


def test_a_newer_generation_maps_its_own_angles() -> None:
    newer = replace(
        SETTINGS, leader_gripper=(-0.0552, 0.8298), follower_gripper=(0.6197, 1.6214), upper=(*[3.2] * 6, 1.7)
    )
    assert newer.follower_target(leader_pose(0.0, 0.8298))[-1] == pytest.approx(1.6214)


def test_pairs_of_two_generations_map_the_angles_of_their_own() -> None:
    mixed = replace(
        SETTINGS,
        leader_gripper=(*SETTINGS.leader_gripper, -0.0552, 0.8298),
        follower_gripper=(*SETTINGS.follower_gripper, 0.6197, 1.6214),
        upper=(*SETTINGS.upper[:-1], 1.6214),
    )
    bench = Bench(mixed)
    bench.poses["follower_right"][-1] = 0.6197
    bench.poses["leader_right"] = leader_pose(0.0, -0.0552)
    assert bench.tick(1.0)["follower_right"][-1] == pytest.approx(0.6197)
    for opened in np.linspace(-0.3, 1.2, 16):  # further than they were calibrated
        bench.lead(0.0, opened)
        commands = bench.tick(0.5)
    assert commands["follower_left"][-1] == pytest.approx(SETTINGS.follower_gripper[1])
    assert commands["follower_right"][-1] == pytest.approx(1.6214)


def test_nothing_is_commanded_until_both_leader_grippers_are_closed() -> None:
    bench = Bench()
    bench.poses["leader_right"] = leader_pose(0.0, SETTINGS.leader_gripper[1])
    assert bench.tick(0.5) == {}
    assert bench.teleoperation.reason == "close the gripper of leader_right to start"
    bench.lead(0.0)
    assert bench.tick()


def test_a_leader_far_from_its_follower_is_named_and_nothing_moves() -> None:
    bench = Bench()
    bench.lead(2.0)
    assert bench.tick(0.5) == {}
    assert "rad from its leader; bring the leader within 1.5 rad" in bench.teleoperation.reason


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_that_falls_silent_stops_both_pairs_until_a_person_resumes(arm: str) -> None:
    bench = Bench()
    assert bench.tick(1.0)
    bench.silent.add(arm)
    bench.tick(SETTINGS.state_timeout + 2 * SETTINGS.period)
    assert bench.tick() == {}
    assert bench.phase is Phase.PAUSED and arm in bench.teleoperation.reason
    bench.silent.clear()
    assert bench.tick(0.5) == {}
    bench.teleoperation.resume()
    assert bench.tick() and bench.phase.value == "aligning"


def test_an_arm_that_falls_silent_before_anybody_has_led_is_waited_for() -> None:
    bench = Bench()
    bench.lead(0.3)
    assert bench.tick(0.2) and bench.phase is Phase.ALIGNING
    bench.silent.add("leader_left")
    assert bench.tick(0.3) == {} and bench.phase.value == "waiting"
    bench.silent.clear()
    assert bench.tick() and bench.phase.value == "aligning"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_joint_states_that_are_no_numbers_stop_everything(value: float) -> None:
    bench = Bench()
    assert bench.tick(1.0)
    bench.poses["leader_left"][2] = value
    assert bench.tick() == {}
    assert "no numbers" in bench.teleoperation.reason


def test_motors_that_a_driver_could_not_read_are_no_pose() -> None:
    bench = Bench()
    assert bench.tick(1.0)
    bench.poses["leader_left"] = np.full(7, -np.pi)
    assert bench.tick() == {}
    assert "leader_left: its driver could not read its motors" in bench.teleoperation.reason


def test_a_fault_of_any_arm_pauses_both_pairs_until_it_is_over_and_a_person_resumes() -> None:
    bench = Bench()
    assert bench.tick(1.0)
    bench.teleoperation.set_fault("follower_right", "motor 4 (elbow): overload")
    assert bench.tick() == {}
    assert bench.phase is Phase.PAUSED and "follower_right: motor 4 (elbow): overload" in bench.teleoperation.reason
    bench.teleoperation.resume()
    assert bench.tick(0.5) == {} and bench.phase.value == "waiting", "resumed while the fault remains"
    bench.lead(0.4)  # meanwhile the leader moved on
    bench.teleoperation.set_fault("follower_right", "")
    assert np.abs(bench.tick()["follower_right"] - follower_pose())[:-1].max() < 0.01
    assert bench.phase.value == "aligning"


def test_a_jump_of_a_leader_is_a_fault_of_the_leader() -> None:
    bench = Bench()
    assert bench.tick(1.0)
    bench.poses["leader_left"][3] += 0.6
    assert bench.tick() == {}
    assert "forearm_roll jumped by 0.60 rad" in bench.teleoperation.reason


def test_a_pause_holds_and_resuming_aligns_anew() -> None:
    bench = Bench()
    bench.tick(1.0)
    bench.teleoperation.pause()
    assert bench.tick(0.5) == {}
    bench.lead(0.4)
    bench.teleoperation.resume()
    assert np.abs(bench.tick()["follower_left"] - follower_pose())[:-1].max() < 0.01


def test_lifting_the_emergency_stop_moves_nothing() -> None:
    bench = Bench()
    bench.tick(1.0)
    bench.teleoperation.stop("the emergency stop is raised")
    assert bench.tick(0.2) == {}
    bench.teleoperation.resume()
    assert bench.tick(0.2) == {}, "resumed while the stop is raised"
    bench.teleoperation.stop("")
    assert bench.tick(0.2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-0.45, 0.45), st.floats(-1.0, 2.0), st.sampled_from(("", "pause", "silence"))),
        min_size=5,
        max_size=60,
    )
)
def test_whatever_leaders_do_followers_stay_within_limits_and_speed(moves: list[tuple[float, float, str]]) -> None:
    bench = Bench()
    pose, last = leader_pose(), None
    for step, gripper, event in moves:
        pose = pose + step
        pose[-1] = gripper if bench.phase is Phase.FOLLOWING else CLOSED
        bench.poses |= {name: pose.copy() for name in SETTINGS.leaders}
        bench.silent = {"leader_left"} if event == "silence" else set()
        if event == "pause":
            bench.teleoperation.pause()
        elif bench.phase is Phase.PAUSED:
            bench.teleoperation.resume()
        command = bench.tick().get("follower_left")
        if command is not None:
            assert (command >= np.array(SETTINGS.lower) - 1e-9).all() and (
                command <= np.array(SETTINGS.upper) + 1e-9
            ).all()
            if last is not None:
                step_limit = np.array(SETTINGS.velocity) * SETTINGS.period + 1e-9
                assert (np.abs(command - last) <= step_limit).all()
        last = bench.poses["follower_left"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"leaders": ("leader_left",)}, "Name one per follower"),
        ({"leaders": SETTINGS.followers}, "lead itself"),
        ({"lower": (0.0,)}, "one per joint"),
        ({"leader_gripper": (0.3, -0.6)}, "closed one is smaller"),
        ({"leader_gripper": (-0.6, 0.3, 0.2)}, "or those of all 2 arms"),
        ({"follower_gripper": (-0.6, 1.4, 2.0, 2.5)}, "follower_right: all of it lies beyond"),
        ({"rate": 5.0}, "rate: 5.0 is not in"),
        ({"velocity": (0.0,) * 7}, "moves nothing"),
    ],
)
def test_settings_that_could_hurt_are_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]


def test_the_rehearsed_leader_begins_still_and_closed_and_moves_slowly() -> None:
    poses = np.array([rehearsed(START_POSE, SETTINGS.leader_gripper, k / 50) for k in range(50 * 40)])
    assert poses[:50, :-1] == pytest.approx(np.tile(START[:-1], (50, 1)))
    assert SETTINGS.opening(poses[0]) == pytest.approx(0.0) and max(map(SETTINGS.opening, poses)) == pytest.approx(1.0)
    assert np.abs(np.diff(poses, axis=0))[:, :-1].max() * 50 < 0.6
    assert (poses[:, :-1] > np.array(SETTINGS.lower)[:-1]).all() and (
        poses[:, :-1] < np.array(SETTINGS.upper)[:-1]
    ).all()


def test_keys_jog_one_leader_within_its_limits() -> None:
    keyed = KeyedLeaders(SETTINGS.leaders, START_POSE, np.array(SETTINGS.lower), np.array(SETTINGS.upper))
    assert "leader_left waist +0.03 rad" in keyed.press("q")
    assert keyed.press("x") == ""
    assert "leader_right" in keyed.press("\t")
    for _ in range(300):
        keyed.press("h")
    assert keyed.poses["leader_right"][5] == SETTINGS.lower[5] and keyed.poses["leader_left"][5] == 0.0
