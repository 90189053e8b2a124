"""From recordings to training files and back, through the commands a person types."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bag_files import Event, picture, small_contract, write_bag
from episodes import make_episode

from cosmos_policy_core.cli import main
from cosmos_policy_core.commands import convert as command
from cosmos_policy_core.data import conversion, jpeg, layouts
from cosmos_policy_core.data.bags.episodes import read_bag
from cosmos_policy_core.data.bags.reading import find_bags, read_record
from cosmos_policy_core.data.bags.record import Outcome
from cosmos_policy_core.data.bags.staging import FolderLock, write_custom_data
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.hdf5 import read_episode, write_episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.model.images import prepare_images

CONTRACT = small_contract()


@pytest.fixture(scope="module")
def contract_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "small.yaml"
    path.write_text(CONTRACT.to_yaml())
    return path


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good bags, one nobody labelled, one unfinished, one cut in its middle."""
    folder = tmp_path_factory.mktemp("episodes")
    write_bag(folder, CONTRACT, "one", 0.6, seed=3)
    write_bag(folder, CONTRACT, "two", 0.4)
    write_bag(folder, CONTRACT, "unlabelled", 0.3, outcome=None)
    unfinished = write_bag(folder, CONTRACT, "unfinished", 0.3)
    (unfinished / "metadata.yaml").unlink()
    torn = write_bag(folder, CONTRACT, "torn", 0.3) / "torn_0.mcap"
    torn.write_bytes(torn.read_bytes()[:20_000])
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    status = main([str(word) for word in (*words, "--json")])
    printed = capsys.readouterr()
    return status, json.loads(printed.out.splitlines()[-1]), printed.err


def convert(capsys, contract_file: Path, source: Path, out: Path, *more: object) -> tuple[int, dict[str, Any], str]:
    return run(capsys, "convert", source, "--out", out, "--embodiment", contract_file, "--workers", 1, *more)


def test_good_bags_are_converted_and_every_bad_one_is_named_with_its_reason(
    capsys, contract_file, bags, tmp_path
) -> None:
    status, summary, text = convert(capsys, contract_file, bags, tmp_path)
    assert status == 1
    assert (summary["converted"], summary["left_out"], summary["unlabelled"], summary["unfinished"]) == (2, 3, 1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episode_one.hdf5", "episode_two.hdf5"]
    reasons = {Path(item["source"]).name: item["reason"] for item in summary["reasons"]}
    assert "cosmos-policy label" in reasons["unlabelled"]
    assert "cosmos-policy recover" in reasons["unfinished"]
    assert "cannot be read" in reasons["torn"]
    assert "left out: 3 (1 without a label, 1 unfinished)" in text


def test_a_converted_episode_trains_like_the_bag_it_came_from(capsys, contract_file, bags, tmp_path) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path)
    episode = read_episode(tmp_path / "episode_one.hdf5", CONTRACT)
    original = read_bag(bags / "one", CONTRACT).episode
    np.testing.assert_array_equal(episode.actions, original.actions)
    np.testing.assert_array_equal(episode.proprio, original.proprio)
    assert {name: list(frames) for name, frames in episode.jpegs.items()} == {
        name: list(frames) for name, frames in original.jpegs.items()
    }
    assert (episode.seed, episode.extra["judge"], episode.extra["user_name"]) == (3, "operator", "tester")
    assert len(layouts.read_folder(tmp_path, CONTRACT)[0]) == 1


@pytest.mark.parametrize(
    "images",
    [{}, {"resize_before": (16, 20)}, {"flip_vertical": True}, {"jpeg_quality": None, "resize_before": (16, 20)}],
)
def test_what_training_decodes_is_bit_for_bit_what_the_policy_prepares_live(tmp_path, images) -> None:
    contract = small_contract(**images)
    episode = read_bag(write_bag(tmp_path, contract, seconds=0.3), contract).episode
    facts = contract.images.model_dump()
    for index, camera in enumerate(contract.camera_names):
        live = prepare_images([picture(contract, index, step) for step in range(len(episode))], 12, **facts)
        stored = [episode.image(camera, step) for step in range(len(episode))]
        recorded = prepare_images(stored, 12, resize_before=facts["resize_before"])
        np.testing.assert_array_equal(live, recorded)


def test_a_second_run_keeps_what_is_done_and_makes_again_what_was_labelled_anew(
    capsys, contract_file, bags, tmp_path
) -> None:
    source = tmp_path / "source"
    for name in ("one", "two"):
        shutil.copytree(bags / name, source / name)
    out = tmp_path / "out"
    convert(capsys, contract_file, source, out)
    made = (out / "episode_one.hdf5").stat().st_mtime_ns
    run(capsys, "label", source / "two", "--failure", "--score", "0.25", "--judge", "Ada")
    status, summary, _ = convert(capsys, contract_file, source, out)
    assert (status, summary["converted"], summary["kept"]) == (0, 1, 1)
    assert (out / "episode_one.hdf5").stat().st_mtime_ns == made
    again = read_episode(out / "episode_two.hdf5", CONTRACT)
    assert (again.success, again.success_score, again.extra["judge"]) == (False, 0.25, "Ada")


def test_nobodys_verdict_can_be_assumed_on_request_and_is_marked(capsys, contract_file, bags, tmp_path) -> None:
    status, summary, _ = convert(capsys, contract_file, bags / "unlabelled", tmp_path, "--assume", "failure")
    assert (status, summary["successes"]) == (0, 0)
    assert read_episode(tmp_path / "episode_unlabelled.hdf5", CONTRACT).extra["judge"] == "assumed by the converter"


def test_several_workers_make_the_same_files(capsys, contract_file, bags, tmp_path) -> None:
    words = ("convert", bags / "one", bags / "two", "--embodiment", contract_file)
    run(capsys, *words, "--out", tmp_path / "a", "--workers", 1)
    run(capsys, *words, "--out", tmp_path / "b", "--workers", 2)
    for name in ("episode_one.hdf5", "episode_two.hdf5"):
        one, other = (read_episode(tmp_path / folder / name, CONTRACT) for folder in "ab")
        np.testing.assert_array_equal(one.actions, other.actions)


@pytest.mark.parametrize("layout", ["raw", "films"])
def test_the_published_layouts_are_read_back(capsys, contract_file, bags, tmp_path, layout) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path, "--to", layout)
    episodes, left_out = layouts.read_folder(tmp_path, CONTRACT)
    original = read_bag(bags / "one", CONTRACT).episode
    assert left_out == []
    np.testing.assert_allclose(episodes[0].actions, original.actions, atol=1e-6)
    if layout == "raw":
        assert episodes[0].jpegs["cam_high"][3] == original.jpegs["cam_high"][3]
        with h5py.File(tmp_path / "episode_one.hdf5") as file:
            np.testing.assert_array_equal(file["observations/images/cam_high"][3], picture(CONTRACT, 2, 3))
            assert file["observations/qvel"].shape == original.actions.shape


def test_old_files_become_bags_that_hold_the_same_numbers(capsys, contract_file, bags, tmp_path) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path / "files")
    convert(capsys, contract_file, tmp_path / "files", tmp_path / "bags", "--to", "bag")
    made = read_bag(tmp_path / "bags" / "one", CONTRACT)
    original = read_bag(bags / "one", CONTRACT).episode
    assert made.record.instruction == original.instruction
    np.testing.assert_allclose(made.episode.actions, original.actions, atol=1e-6)
    np.testing.assert_allclose(made.episode.proprio, original.proprio, atol=1e-6)
    shown = made.episode.image("cam_high", 4).astype(int)
    assert np.abs(shown - jpeg.decode(original.jpegs["cam_high"][4])).mean() < 8


# What was made before -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["jpeg", "films"])
def test_an_episode_that_is_refused_now_does_not_stay_among_what_is_trained_on(
    capsys, contract_file, bags, tmp_path, layout
) -> None:
    words = (bags / "unlabelled", tmp_path, "--to", layout)
    convert(capsys, contract_file, *words, "--assume", "success")
    (made,) = layouts.files(tmp_path)
    status, summary, text = convert(capsys, contract_file, *words)
    assert (status, summary["left_out"], summary["unlabelled"]) == (1, 1, 1)
    assert f"What was made of it before is now {made}.outdated" in text
    with pytest.raises(EpisodeError, match="holds no"):
        layouts.files(tmp_path)
    assert convert(capsys, contract_file, *words, "--assume", "failure")[0] == 0
    assert layouts.files(tmp_path) == [made]


def test_what_was_made_of_a_file_that_broke_does_not_stay_either(capsys, contract_file, bags, tmp_path) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path / "files")
    convert(capsys, contract_file, tmp_path / "files", tmp_path / "again")
    broken = tmp_path / "files" / "episode_one.hdf5"
    broken.write_bytes(broken.read_bytes()[:500])
    assert convert(capsys, contract_file, tmp_path / "files", tmp_path / "again")[0] == 1
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["episode_one.hdf5.outdated"]


@pytest.mark.parametrize("layout", ["jpeg", "bag"])
def test_an_episode_of_the_same_name_from_elsewhere_does_not_replace_the_first(
    capsys, contract_file, bags, tmp_path, layout
) -> None:
    for place in ("here", "there"):
        source = tmp_path / place / "one"
        shutil.copytree(bags / ("one" if place == "here" else "two"), source)
        convert(capsys, contract_file, source, tmp_path / place / "files")
    out, words = tmp_path / "out", ("--to", layout)
    first, second = (tmp_path / place / "files" / "episode_one.hdf5" for place in ("here", "there"))
    assert convert(capsys, contract_file, first, out, *words)[0] == 0
    (made,) = out.glob("[!.]*")
    at = made.stat().st_mtime_ns
    status, summary, text = convert(capsys, contract_file, second, out, *words)
    assert (status, summary["left_out"]) == (1, 1)
    assert f"was made of {first}. Give another --out" in text
    assert [path.stat().st_mtime_ns for path in out.glob("[!.]*")] == [at]
    assert convert(capsys, contract_file, first, out, *words)[1]["kept"] == 1


@pytest.mark.parametrize("outcome", [Outcome(True, 1.0, "Ada"), None])
def test_a_recording_of_the_same_name_is_not_taken_for_what_was_made(
    capsys, contract_file, bags, tmp_path, outcome
) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path / "files")
    recording = write_bag(tmp_path / "bags", CONTRACT, "one", 0.3, outcome=outcome)
    status, summary, text = convert(capsys, contract_file, tmp_path / "files", tmp_path / "bags", "--to", "bag")
    assert (status, summary["kept"], summary["left_out"]) == (1, 0, 1)
    assert f"{recording} is there already and was not made by convert" in text
    assert [path.name for path in (tmp_path / "bags").iterdir() if path.name != ".recording"] == ["one"]
    assert read_record(recording).outcome == outcome


def test_a_bag_is_made_again_when_its_episode_was_labelled_anew(capsys, contract_file, bags, tmp_path) -> None:
    shutil.copytree(bags / "one", tmp_path / "in" / "one")
    steps = ((tmp_path / "in", tmp_path / "files", "jpeg"), (tmp_path / "files", tmp_path / "bags", "bag"))
    for source, out, layout in steps:
        convert(capsys, contract_file, source, out, "--to", layout)
    run(capsys, "label", tmp_path / "in", "--failure", "--score", "0.25")
    for source, out, layout in steps:
        status, summary, text = convert(capsys, contract_file, source, out, "--to", layout)
        assert (status, summary["converted"], summary["kept"]) == (0, 1, 0)
    assert "What was made of it before is now" in text
    made = read_record(tmp_path / "bags" / "one").outcome
    assert made is not None and (made.success, made.score) == (False, 0.25)
    assert find_bags(tmp_path / "bags") == [tmp_path / "bags" / "one"]


def test_episodes_that_were_moved_are_still_known(capsys, contract_file, bags, tmp_path) -> None:
    shutil.copytree(bags / "one", tmp_path / "before" / "one")
    convert(capsys, contract_file, tmp_path / "before", tmp_path / "out")
    (tmp_path / "before").rename(tmp_path / "after")
    assert convert(capsys, contract_file, tmp_path / "after", tmp_path / "out")[1]["kept"] == 1


def test_two_episodes_of_one_name_are_named_with_the_remedy(capsys, contract_file, bags, tmp_path) -> None:
    for place in ("here", "there"):
        shutil.copytree(bags / "one", tmp_path / place / "one")
    words = ["convert", str(tmp_path), "--out", str(tmp_path / "out"), "--embodiment", str(contract_file)]
    assert main(words) == 2
    text = capsys.readouterr().err
    assert str(tmp_path / "there" / "one") in text
    assert "folders of their own" in text


def test_a_file_that_convert_did_not_make_is_not_replaced(capsys, contract_file, bags, tmp_path) -> None:
    write_episode(tmp_path / "episode_one.hdf5", make_episode(CONTRACT, 4), CONTRACT)
    status, _, text = convert(capsys, contract_file, bags / "one", tmp_path)
    assert status == 1
    assert "was not made by convert" in text
    assert len(read_episode(tmp_path / "episode_one.hdf5", CONTRACT)) == 4


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["raw", "films"])
def test_other_arms_and_robots_are_refused_in_every_layout(capsys, contract_file, bags, tmp_path, layout) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path, "--to", layout)
    exchanged = CONTRACT.model_copy(update={"arms": CONTRACT.arms[::-1]})
    renamed = CONTRACT.model_copy(update={"name": "another_cell"})
    for other, reason in ((exchanged, "arms"), (renamed, "it is of 'aloha_sim', not of 'another_cell'")):
        episodes, left_out = layouts.read_folder(tmp_path, CONTRACT)
        assert (len(episodes), left_out) == (1, [])
        with pytest.raises(EpisodeError, match=rf"recorded under another contract.*{reason}"):
            layouts.read_folder(tmp_path, other)


def test_an_unlabelled_file_needs_a_verdict(capsys, contract_file, bags, tmp_path) -> None:
    convert(capsys, contract_file, bags / "one", tmp_path / "raw", "--to", "raw")
    with h5py.File(tmp_path / "raw" / "episode_one.hdf5", "a") as file:
        del file.attrs["success"], file.attrs["success_score"]
    status, summary, text = convert(capsys, contract_file, tmp_path / "raw", tmp_path / "out")
    assert (status, summary["unlabelled"]) == (1, 1)
    assert "--assume success" in text
    assert convert(capsys, contract_file, tmp_path / "raw", tmp_path / "out", "--assume", "failure")[0] == 0
    episode = read_episode(tmp_path / "out" / "episode_one.hdf5", CONTRACT)
    assert (episode.success, episode.success_score, episode.extra["judge"]) == (False, 0.0, "assumed by the converter")


def test_a_reader_that_fails_in_an_unforeseen_way_costs_its_own_episode_only(
    capsys, contract_file, bags, tmp_path, monkeypatch
) -> None:
    original = conversion.read_bag

    def fragile(path: Path, *words: Any) -> Any:
        if path.name == "two":
            raise OverflowError("Python int too large to convert to C long")
        return original(path, *words)

    monkeypatch.setattr(conversion, "read_bag", fragile)
    status, summary, text = convert(capsys, contract_file, bags, tmp_path)
    assert (status, summary["converted"], summary["left_out"]) == (1, 1, 4)
    assert "two: cannot be read (OverflowError(" in text


def test_a_bag_whose_commands_are_no_numbers_is_named_and_the_others_are_converted(
    capsys, contract_file, bags, tmp_path
) -> None:
    def spoil(events: list[Event]) -> list[Event]:
        message = next(message for topic, _, message in events if topic.endswith("joint_commands"))
        message.position[0] = np.nan
        return events

    shutil.copytree(bags / "one", tmp_path / "in" / "one")
    write_bag(tmp_path / "in", CONTRACT, "spoiled", 0.3, spoil)
    status, summary, text = convert(capsys, contract_file, tmp_path / "in", tmp_path / "out")
    assert (status, summary["converted"], summary["left_out"]) == (1, 1, 1)
    assert f"left out: {tmp_path / 'in' / 'spoiled'}: /follower_left/joint_commands: a position is not finite" in (
        text.replace("a finite number", "finite")
    )


def test_a_link_to_nowhere_costs_its_own_episode_only(capsys, contract_file, bags, tmp_path) -> None:
    for name in ("one", "two"):
        shutil.copytree(bags / name, tmp_path / "in" / name)
    (tmp_path / "in" / "two" / "two_0.mcap").unlink()
    (tmp_path / "in" / "two" / "two_0.mcap").symlink_to(tmp_path / "nowhere")
    status, summary, text = convert(capsys, contract_file, tmp_path / "in", tmp_path / "out")
    assert (status, summary["converted"], summary["left_out"]) == (1, 1, 1)
    assert f"left out: {tmp_path / 'in' / 'two'}: cannot be read" in text


def test_an_input_error_while_reading_costs_its_own_episode_only(
    capsys, contract_file, bags, tmp_path, monkeypatch
) -> None:
    original = conversion.read_bag

    def broken(path: Path, *words: Any) -> Any:
        if path.name == "two":
            raise OSError(5, "Input/output error")
        return original(path, *words)

    monkeypatch.setattr(conversion, "read_bag", broken)
    status, summary, text = convert(capsys, contract_file, bags, tmp_path)
    assert (status, summary["converted"], summary["left_out"]) == (1, 1, 4)
    assert "two: cannot be read (OSError(5" in text
    assert "Free the disk" not in text


def cut_episode(folder: Path, bag: Path) -> Path:
    """Leave a bag as a recorder that was killed leaves it."""
    cut = folder / ".recording" / "cut"
    shutil.copytree(bag, cut)
    (cut / "metadata.yaml").unlink()
    return cut


def test_what_a_killed_recorder_left_is_named_unless_a_recorder_is_at_work(
    capsys, contract_file, bags, tmp_path
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(bags / "one", folder / "one")
    cut = cut_episode(folder, bags / "two")
    status, summary, text = convert(capsys, contract_file, tmp_path, tmp_path / "out")
    assert (status, summary["converted"], summary["unfinished"], summary["left_out"]) == (1, 1, 1, 1)
    assert f"left out: {cut}: is unfinished: an episode was cut off after" in text
    assert f"cosmos-policy recover {cut}" in text
    status, summary, text = run(capsys, "label", folder)
    assert (status, summary) == (1, {"labelled": 1, "unlabelled": 0, "broken": 1})
    assert f"cosmos-policy recover {cut}" in text
    lock = FolderLock(folder)
    assert convert(capsys, contract_file, folder, tmp_path / "out")[1]["left_out"] == 0
    assert run(capsys, "label", folder)[0] == 0
    lock.release()


def die(*_: object) -> None:
    os._exit(1)


def test_a_converting_process_that_dies_is_one_sentence(capsys, contract_file, bags, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "convert", die)
    words = ["convert", str(bags), "--out", str(tmp_path), "--embodiment", str(contract_file), "--workers", "2"]
    assert main(words) == 2
    assert "was killed or crashed. Run the same command again" in capsys.readouterr().err


def test_paths_without_episodes_are_refused(capsys, contract_file, tmp_path) -> None:
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path, "holds neither bags nor HDF5")):
        assert main(["convert", str(path), "--out", str(tmp_path / "out")]) == 2
        assert reason in capsys.readouterr().err


# Labels and recovery --------------------------------------------------------------------------------------------------


def test_labels_are_listed_and_missing_ones_show_in_the_exit_status(capsys, bags) -> None:
    status, summary, text = run(capsys, "label", bags)
    assert status == 1
    assert summary == {"labelled": 3, "unlabelled": 1, "broken": 1}
    assert "not labelled" in text


def test_a_score_needs_a_verdict(capsys, bags) -> None:
    assert main(["label", str(bags / "one"), "--score", "0.5"]) == 2
    assert "Add --success or --failure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--success", "--score", "0.2"], "a success with a score of 0.2 contradicts itself"),
        (["--failure", "--score", "1"], "a failure with a score of 1 contradicts itself"),
        (["--success", "--score", "2"], "a success score of 2.0 cannot be"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused_before_any_bag_is_touched(capsys, bags, words, reason) -> None:
    assert main(["label", str(bags / "one"), *words]) == 2
    printed = capsys.readouterr().err
    assert reason in printed
    assert "outcome" not in printed, "no table"


def test_a_damaged_label_is_told_and_replaced_by_the_command_that_the_error_names(capsys, bags, tmp_path) -> None:
    bag = tmp_path / "one"
    shutil.copytree(bags / "one", bag)
    write_custom_data(bag, {"success": "maybe"})
    status, summary, text = run(capsys, "label", bag)
    assert (status, summary["broken"]) == (1, 1)
    assert f"cosmos-policy label {bag} --success" in text
    assert run(capsys, "label", bag, "--success")[:2] == (0, {"labelled": 1, "unlabelled": 0, "broken": 0})
    assert read_record(bag).outcome is not None


def test_an_odd_score_of_a_success_is_shown(capsys, bags, tmp_path) -> None:
    bag = tmp_path / "one"
    shutil.copytree(bags / "one", bag)
    write_custom_data(bag, {"success_score": "0.2"})
    assert "success (0.2)" in run(capsys, "label", bag)[2]


def test_a_recovered_recording_has_to_be_labelled_before_it_is_converted(capsys, tmp_path) -> None:
    contract = small_contract(width=160, height=120)
    whole = write_bag(tmp_path, contract, "whole", 0.6)
    cut = tmp_path / "episodes" / ".recording" / "cut"
    shutil.copytree(whole, cut)
    (cut / "metadata.yaml").unlink()
    file = cut / "whole_0.mcap"
    file.write_bytes(file.read_bytes()[:-600_000])
    cut.with_name("cut.json").write_text(json.dumps(read_record(whole).custom_data()))
    status, summary, _ = run(capsys, "recover", cut)
    saved = tmp_path / "episodes" / "cut_recovered"
    assert (status, summary["bag"]) == (0, str(saved))
    assert not cut.exists()
    with pytest.raises(EpisodeError, match="has no label"):
        read_bag(saved, contract)
    run(capsys, "label", saved, "--success")
    episode, original = read_bag(saved, contract).episode, read_bag(whole, contract).episode
    assert 3 <= len(episode) < len(original)
    np.testing.assert_array_equal(episode.actions, original.actions[: len(episode)])


def test_a_recording_of_which_nothing_is_left_is_refused(capsys, tmp_path) -> None:
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n")
    assert main(["recover", str(tmp_path)]) == 2
    assert "not one whole message is left" in capsys.readouterr().err


def test_the_contract_inside_a_bag_is_enough_to_read_it(bags) -> None:
    contract = Embodiment.from_yaml(read_record(bags / "one").contract)
    assert isinstance(read_bag(bags / "one", contract).episode, Episode)
