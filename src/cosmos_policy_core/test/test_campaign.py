"""Success rates come with honest intervals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest

from cosmos_policy_core.checkpoints import find
from cosmos_policy_core.cli import main as cosmos_policy
from cosmos_policy_core.data.episode import check
from cosmos_policy_core.data.hdf5 import read_episode
from cosmos_policy_core.data.mp4 import Mp4Frames
from cosmos_policy_core.data.seeds import KEY, RECORD_FILE
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError, EpisodeError, SimulatorError
from cosmos_policy_core.evaluation.campaign import UNWATCHED, Campaign, Log, Outcome, summarise
from cosmos_policy_core.evaluation.intervals import wilson
from cosmos_policy_core.evaluation.recording import recorded
from cosmos_policy_core.evaluation.report.evaluation_report import _caption, write_report
from cosmos_policy_core.evaluation.worker import TrialBench, evaluate
from cosmos_policy_core.model.checkpoint import identify
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.simulated_cell import Domain

DOMAIN = {field.name for field in fields(Domain)}


def test_the_wilson_interval_matches_published_values() -> None:
    assert wilson(88, 100) == pytest.approx((0.8019, 0.9300), abs=1e-3)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)


def test_an_interval_without_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson(0, 0)


def test_a_summary_counts_failures_by_the_stage_they_reached() -> None:
    outcomes = [
        Outcome(5000, True, 4, 100, 2, 0.2),
        Outcome(5001, False, 2, 200, 4, 0.4, ended="lifted"),
        Outcome(5002, False, 2, 200, 4, 0.4, ended="lifted"),
    ]
    summary = summarise(Campaign("c"), outcomes, 1.0)
    assert summary["successes"] == 1
    assert summary["failures"] == {"lifted": 2}
    assert summary["failed_at_stage"] == {"2": 2}
    assert summary["failed_seeds"] == [5001, 5002]


def test_what_nobody_watched_is_not_counted() -> None:
    outcomes = [Outcome(5000, True, UNWATCHED, 100, 2, 0.2), Outcome(5001, False, UNWATCHED, 200, 4, 0.4, ended="late")]
    summary = summarise(Campaign("c", ros=True), outcomes, 1.0)
    assert (summary["published_criterion"], summary["failed_at_stage"]) == (None, None)
    assert summary["failures"] == {"late": 1}


def test_a_log_gives_back_the_trials_of_its_own_campaign_only(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    outcome = Outcome(5000, True, 4, 100, 2, 0.2)
    Log(path, Campaign("a")).append(outcome)
    with path.open("a") as file:
        file.write('{"campaign": {"checkpoint": "a"')  # a run that was killed while writing
    assert Log(path, Campaign("a")).read() == {5000: outcome}
    assert Log(path, Campaign("b")).read() == {}
    assert Log(path, Campaign("a", ros=True)).read() == {}


def test_a_log_tells_scenes_of_another_domain_apart_and_older_lines_are_of_the_tasks_own(tmp_path: Path) -> None:
    path, plain = tmp_path / "trials.jsonl", Campaign("a")
    shifted = replace(plain, object_x_range=(0.0, 0.1), light_shift=0.5)
    first, second = Outcome(5000, True, 4, 100, 2, 0.2), Outcome(5000, False, 1, 200, 4, 0.2)
    Log(path, plain).append(first)
    row = json.loads(path.read_text())
    row["campaign"] = {name: value for name, value in row["campaign"].items() if name not in DOMAIN}
    path.write_text(json.dumps(row) + "\n")
    Log(path, shifted).append(second)
    assert Log(path, plain).read() == {5000: first}
    assert Log(path, shifted).read() == {5000: second}
    assert Log(path, replace(shifted, light_shift=0.4)).read() == {}


def test_a_log_does_not_give_back_trials_of_other_weights_under_the_same_path(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    outcome = Outcome(5000, True, 4, 100, 2, 0.2)
    Log(path, Campaign("a", policy_identity="a@1111", planning_identity="p@1")).append(outcome)
    assert Log(path, Campaign("a", policy_identity="a@1111", planning_identity="p@1")).read() == {5000: outcome}
    assert Log(path, Campaign("a", policy_identity="a@2222", planning_identity="p@1")).read() == {}
    assert Log(path, Campaign("a", policy_identity="a@1111", planning_identity="p@2")).read() == {}


def test_a_log_without_identities_belongs_to_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    campaign = Campaign("a", policy_identity="a@1111")
    Log(path, campaign).append(Outcome(5000, True, 4, 100, 2, 0.2))
    row = json.loads(path.read_text())
    del row["campaign"]["policy_identity"], row["campaign"]["planning_identity"]
    path.write_text(json.dumps(row) + "\n")
    assert Log(path, campaign).read() == {}


def test_a_log_that_was_cut_within_a_line_goes_on_on_a_line_of_its_own(tmp_path: Path) -> None:
    path, campaign = tmp_path / "trials.jsonl", Campaign("a")
    outcomes = [Outcome(seed, True, 4, 100, 2, 0.2) for seed in (5000, 5001, 5002)]
    Log(path, campaign).append(outcomes[0])
    Log(path, campaign).append(outcomes[1])
    path.write_bytes(path.read_bytes()[:-20])
    Log(path, campaign).append(outcomes[2])
    assert Log(path, campaign).read() == {5000: outcomes[0], 5002: outcomes[2]}
    assert len(path.read_text().splitlines()) == 3


def test_a_checkpoint_is_identified_from_its_files_as_it_is_when_loaded(tmp_path: Path) -> None:
    assert identify("nano_transfer_cube") == CosmosPolicy.from_pretrained("nano_transfer_cube").identity
    with pytest.raises(CheckpointError, match="not a checkpoint folder"):
        identify(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_checkpoint_that_cannot_be_loaded_is_one_sentence_in_every_process(tmp_path: Path, workers: int) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint folder"):
        list(evaluate(Campaign(str(tmp_path)), [5000, 5001], workers))


@pytest.fixture(scope="module")
def short() -> Campaign:
    """Trials too short to succeed: 30 control steps of a transfer."""
    return Campaign("nano_transfer_cube", max_steps=30, steps=2)


def test_recorded_trials_are_episodes_with_the_outcome_of_the_unrecorded_ones(short: Campaign, tmp_path: Path) -> None:
    (plain,) = evaluate(short, [5001], workers=1)
    (recorded,) = evaluate(short, [5001], workers=1, record=tmp_path)
    assert replace(recorded, plan_seconds=plain.plan_seconds) == plain
    contract = Embodiment.load("aloha_sim")
    episode = read_episode(tmp_path / "episode_005001.hdf5", contract)
    check(episode, contract)
    assert (len(episode), episode.success, episode.seed) == (31, False, 5001)
    assert episode.extra["planner"] == "direct"


def test_rollouts_of_other_weights_planners_and_tasks_are_not_replaced(short: Campaign, tmp_path: Path) -> None:
    list(evaluate(short, [5001], workers=1, record=tmp_path))
    own = replace(short, policy_identity=identify("nano_transfer_cube"))
    assert recorded(tmp_path, range(5000, 5003), own) == {5001}
    others = (
        replace(own, policy_identity="nano_transfer_cube@00000000"),
        replace(own, planner="best_of_n"),
        replace(own, planning_identity="planning@00000000"),
        replace(own, task="hurried_transfer"),
        replace(own, colour_shift=0.5),
    )
    for other in others:
        with pytest.raises(EpisodeError, match=r"another evaluation.*--record another folder"):
            recorded(tmp_path, range(5000, 5003), other)
    assert recorded(tmp_path, range(6000, 6003), others[0]) == set()


def test_a_logged_trial_whose_episode_is_missing_is_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, rollouts = tmp_path / "trials.jsonl", tmp_path / "rollouts"
    words = ["eval", "--episodes", "2", "--seed", "5001", "--max-steps", "10", "--steps", "1", "--workers", "1"]
    words += ["--log", str(log), "--record", str(rollouts)]
    assert cosmos_policy(words) == 0
    kept, missing = rollouts / "episode_005001.hdf5", rollouts / "episode_005002.hdf5"
    made = kept.stat().st_mtime_ns
    missing.unlink()
    assert cosmos_policy(words) == 0
    assert missing.exists() and kept.stat().st_mtime_ns == made
    assert cosmos_policy([*words, "--planner", "best_of_n"]) == 2
    assert "rollout of another evaluation" in capsys.readouterr().err


def test_an_evaluation_on_seeds_that_were_trained_on_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(find("nano_transfer_cube"), mine)
    (mine / RECORD_FILE).write_text(json.dumps({KEY: "0..499, 5001..5002"}))
    words = ["--seed", "5002", "--episodes", "2", "--max-steps", "2", "--steps", "1", "--workers", "1", "--json"]
    assert cosmos_policy(["eval", "--checkpoint", str(mine), *words]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["trained_on_seeds"] == 1
    assert "1 of 2 seeds were trained on (5002)" in printed.err


def test_the_processes_of_an_evaluation_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    words = ["eval", "--episodes", "200", "--workers", "2", "--max-steps", "10", "--log", str(tmp_path / "log.jsonl")]
    script = f"import sys; from cosmos_policy_core.cli import main; main({words!r})"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        wait_until(lambda: (tmp_path / "log.jsonl").exists(), "the first trial")
        workers = children(process.pid)
        assert len(workers) >= 2
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(alive, workers)), "the end of its processes")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


def children(parent: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_report_shows_and_films_failures(short: Campaign, tmp_path: Path) -> None:
    outcomes = [Outcome(5001, False, 0, 30, 1, 0.1, ended="untouched"), Outcome(5002, True, 4, 20, 1, 0.1)]
    summary = summarise(short, outcomes, 1.0)
    page = write_report(tmp_path, {"direct": (short, outcomes)}, summary, films=3)
    assert "Failures of direct" in page.read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["successes"] == 1
    assert [film.name for film in (tmp_path / "failures").iterdir()] == ["direct_seed_5001.mp4"]
    assert len(Mp4Frames(tmp_path / "failures" / "direct_seed_5001.mp4")) == 31


def test_a_failure_of_the_graph_that_succeeds_when_it_is_filmed_is_not_shown_as_a_failure() -> None:
    failed = Outcome(5001, False, UNWATCHED, 200, 4, 0.4, ended="out of budget")
    assert _caption(failed, Outcome(5001, True, 4, 100, 2, 0.2)) == "seed 5001, without ROS: success"
    assert _caption(failed, Outcome(5001, False, 1, 200, 4, 0.2, ended="lifted")).endswith("without ROS: lifted")
    watched = replace(failed, best_stage=1, ended="lifted")
    assert _caption(watched, watched) == "seed 5001: lifted"


def test_a_shift_reaches_the_cell(short: Campaign) -> None:
    shifted = replace(short, object_x_range=(0.02, 0.03), light_shift=0.4)
    with closing(TrialBench(shifted)) as bench:
        settings = bench.environment.unwrapped.cell.settings
        assert (tuple(settings.object_x_range), settings.light_shift, settings.colour_shift) == ((0.02, 0.03), 0.4, 0.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--object-x-range", "0.2", "0.1"], "object_x_range: needs a lower and an upper bound"),
        (["--colour-shift", "3"], "colour_shift: 3.0 is not within 0 to 1"),
        (["--light-shift", "-1"], "light_shift: -1.0 is not within 0 to 1"),
        (["--camera-shift", "-1"], "camera_shift: -1.0 is not within 0 to 1"),
    ],
)
def test_a_domain_that_cannot_be_is_one_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosmos_policy(["eval", *words, "--episodes", "1", "--workers", "1"]) == 2
    assert said in capsys.readouterr().err


def test_a_task_the_cell_does_not_know_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SimulatorError, match="FoldShirt"):
        list(evaluate(Campaign("nano_transfer_cube", task="fold_shirt"), [5000], workers=1))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["--against", "direct"], "Name the other planner"),
        (["--record", "somewhere", "--against", "best_of_n"], "Leave --against and --ros out"),
        (["--record", "somewhere", "--seed", "6990", "--episodes", "20"], "Use --seed 20000"),
        (["--episodes", "0"], "--episodes is 0. Use at least 1"),
        (["--max-steps", "0"], "--max-steps is 0. Use at least 1"),
        (["--thinking", "-0.1"], "--thinking is -0.1. Use at least 0"),
        (["--steps", "0"], "--steps is 0"),
        (["--candidates", "0"], "--candidates is 0"),
        (["--futures", "0"], "--futures is 0"),
        (["--values", "-1"], "--values is -1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosmos_policy(["eval", *words]) == 2
    assert remedy in capsys.readouterr().err
