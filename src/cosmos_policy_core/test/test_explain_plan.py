"""A decision is read from a bag or a file and drawn as one picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_files import REPORT, TASK, action_at, blank, header, small_contract, stamp, write_bag

from cosmos_policy_core.cli import main
from cosmos_policy_core.data import jpeg
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.evaluation.report.decision import VERSION, Decision, read_decisions
from cosmos_policy_core.evaluation.report.decision_figure import decision_figure, headline

OURS = "cosmos_policy_msgs/msg"
CONTRACT = small_contract()


def chunk(contract: Embodiment, candidate: int) -> Any:
    actions = np.stack([action_at(contract, 0.04 * k) + 0.01 * candidate for k in range(contract.chunk_horizon)])
    return blank(
        f"{OURS}/ActionChunk",
        joint_names=list(contract.joint_names),
        period=blank("builtin_interfaces/msg/Duration", nanosec=40_000_000),
        horizon=contract.chunk_horizon,
        positions=actions.ravel(),
        candidate_id=candidate,
        seed=100 + candidate,
    )


def report(index: int = 0, version: int = VERSION, **changes: Any) -> Any:
    """Three candidates, 2 x 2 values each; of the last one half was left out."""
    table = np.array([[0.2, 0.3, 0.2, 0.1], [0.7, 0.8, 0.9, 0.8], [0.1, 0.1, 0.0, 0.0]], dtype=np.float32)
    evaluated = np.array([[True] * 4, [True] * 4, [True, True, False, False]])
    scores = [
        blank(f"{OURS}/ScoredChunk", candidate_id=k, futures=2, members=2, values=table[k], evaluated=evaluated[k])
        for k in range(3)
    ]
    imagined = jpeg.encode(np.full((24, 32, 3), 90, dtype=np.uint8))
    pictures = [
        blank("sensor_msgs/msg/CompressedImage", format="jpeg", data=np.frombuffer(imagined, dtype=np.uint8))
        for _ in CONTRACT.cameras
    ]
    fields = {
        "header": header(2_000_000_000),
        "version": version,
        "planner": 1,
        "preset": "default",
        "settings": blank(f"{OURS}/PlanSettings", threshold=0.05),
        "aggregation": "average",
        "completed": 2,
        "instruction": TASK,
        "observation_stamp": stamp(1_500_000_000),
        "plan_index": index,
        "candidates": [chunk(CONTRACT, k) for k in range(3)],
        "scores": scores,
        "candidate_values": np.array([0.2, 0.8, 0.1], dtype=np.float32),
        "chosen": 1,
        "stages": [blank(f"{OURS}/StageTime", stage=2, seconds=0.3), blank(f"{OURS}/StageTime", stage=4, seconds=0.5)],
        "duration": 0.82,
        "evaluations_spent": 10,
        "evaluations_saved": 2,
        "states": [
            blank(f"{OURS}/ImaginedState", candidate_id=1, depth=1, parent=-1, values=np.float32([0.5])),
            blank(f"{OURS}/ImaginedState", candidate_id=1, depth=2, parent=0, values=np.float32([0.8, np.nan])),
        ],
        "shares": [
            blank(f"{OURS}/ScorerShare", scorer="/a", candidate_ids=np.uint32([0, 1]), seconds=0.5),
            blank(f"{OURS}/ScorerShare", scorer="/b", candidate_ids=np.uint32([2]), seconds=0.6, outcome=2),
        ],
        "imagined_images": pictures,
    }
    return blank(REPORT, **{**fields, **changes})


def plain(value: Any) -> Any:
    """Turn a message into what JSON holds, as the planner node does with its own."""
    if hasattr(value, "__msgtype__"):
        return {name: plain(item) for name, item in vars(value).items() if name != "__msgtype__"}
    if isinstance(value, (np.ndarray, list)):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = [("/plan_report", 1_100_000_000 + index, report(index)) for index in range(2)]
    return write_bag(tmp_path_factory.mktemp("bags"), CONTRACT, spoil=lambda events: [*events, *told])


def test_a_report_says_what_was_chosen_and_how_sure_that_is() -> None:
    decision = Decision.from_report(report())
    assert headline(decision) == "Plan 0: candidate 1 of 3, value 0.800, +0.600 to the next best (certain)"
    assert (decision.spent, decision.saved, decision.evaluated.sum()) == (10, 2, 10)
    assert np.isnan(decision.values[2, 1]).all()
    assert [share.outcome for share in decision.shares] == ["answered", "lost"]
    assert [(state.parent, state.value) for state in decision.states] == [(None, 0.5), (0, pytest.approx(0.8))]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"states": [], "imagined_images": []},
        {"scores": [], "planner": 0, "preset": "", "aggregation": "", "states": [], "shares": []},
        {"completed": 1, "time_limit": 0.5, "candidate_values": np.float32([0.2, 0.8, np.nan])},
    ],
)
def test_every_kind_of_decision_can_be_drawn(changes: dict[str, Any]) -> None:
    figure = decision_figure(Decision.from_report(report(**changes)))
    figure.canvas.draw()
    assert figure.get_suptitle().startswith("Plan 0: ")


def test_the_plans_of_a_bag_become_one_picture_each(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain-plan", str(bag), "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["plans"]
    assert [(plan["index"], plan["chosen"]) for plan in told] == [(0, 1), (1, 1)]
    assert all(Path(plan["picture"]).read_bytes().startswith(b"\x89PNG") for plan in told)
    assert main(["explain-plan", str(bag), "--plan", "7", "--out", str(tmp_path)]) == 2
    assert "holds plans [0, 1]" in capsys.readouterr().err


def test_a_report_in_a_file_is_drawn_like_one_in_a_bag(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plain(report())))
    (decision,) = read_decisions(path)
    np.testing.assert_array_equal(decision.values, Decision.from_report(report()).values)
    assert decision.plan.imagined[0].shape == (24, 32, 3)
    assert main(["explain-plan", str(path)]) == 0
    assert (tmp_path / "plan_plan0.png").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps({"version": 1, "candidates": []}), "version 1, this release reads 2"),
        (json.dumps({"version": VERSION}), "no plan report"),
        ("[1, 2]", "no plan report"),
        ("\x00{", "cannot be read"),
    ],
)
def test_what_is_no_report_of_this_version_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(EpisodeError, match=words):
        read_decisions(path)


def test_a_bag_without_plans_says_so(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="/plan_report"):
        read_decisions(write_bag(tmp_path, CONTRACT))
