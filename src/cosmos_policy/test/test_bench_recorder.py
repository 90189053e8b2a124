"""The recorder's benchmark counts every message."""

from __future__ import annotations

import json

from cosmos_policy_core.cli import main


def test_what_is_put_into_the_writer_is_counted_in_the_bag(capsys, tmp_path) -> None:
    words = "bench recorder --seconds 1 --width 32 --height 24 --rate 10 --cameras 2 --no-transport --json --folder"
    status = main([*words.split(), str(tmp_path)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert report["writer"]["sent"] == report["writer"]["written"] == 2 * 10 + 2 * 100 + 2 * 50
    assert report["writer"]["images_written"] == 20
    assert report["writer"]["lost"] == 0
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_cannot_be_measured_are_refused(capsys) -> None:
    assert main(["bench", "recorder", "--cameras", "9"]) == 2
    assert "--cameras from 1 to 4" in capsys.readouterr().err
