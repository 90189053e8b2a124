"""`cosmos-policy` explains itself: groups, examples, exit statuses, completion."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cosmos_policy_core import cli
from cosmos_policy_core.commands import described

# A server has nothing to say at its end, and what completion prints is for a shell.
WITHOUT_JSON = ("view", "completion")


def words() -> list[str]:
    return [inner for word, (module, _) in cli.COMMANDS.items() for inner in described.words(word, module)]


@functools.cache
def help_of(word: str) -> str:
    first = word if word in cli.COMMANDS else word.split()[0]
    return described.help_text(word, cli.COMMANDS[first][0])


@functools.cache
def script(shell: str) -> str:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["completion", shell]) == 0
    return out.getvalue()


def test_every_command_stands_in_a_group_of_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{group}:\n" in said for group in cli.GROUPS)
    assert all(re.search(rf"^  {word} +\S", said, re.MULTILINE) for word in cli.COMMANDS)
    assert "exit status: 0 done" in said


def test_no_words_are_a_mistake() -> None:
    assert cli.main([]) == cli.USER_ERROR


@pytest.mark.parametrize("word", cli.COMMANDS)
def test_help_exits_with_0_and_shows_an_example(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*word.split(), "--help"])
    assert ended.value.code == 0
    for text in [capsys.readouterr().out, *(help_of(inner) for inner in words() if inner.startswith(f"{word} "))]:
        assert re.search(rf"^ *Examples?:\n(?: *\S.*\n)*? +cosmos-policy {word}", text, re.MULTILINE), text


@pytest.mark.parametrize("word", cli.COMMANDS)
def test_scripts_can_ask_for_json(word: str) -> None:
    inner = [other for other in words() if other.startswith(f"{word} ") and other not in cli.COMMANDS] or [word]
    assert all(("--json" in described.options(help_of(other))) != (word in WITHOUT_JSON) for other in inner)


def test_an_unknown_option_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["label", "bags", "--sucess"])
    assert ended.value.code == cli.USER_ERROR
    assert "--success" in capsys.readouterr().err


def test_options_are_read_from_the_help_with_the_values_they_allow() -> None:
    options = described.options(help_of("eval"))
    assert options["--planner"] == ("direct", "best_of_n") and options["--episodes"] == ()
    assert {"--json", "--no-json", "--help"} <= options.keys()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("cosmos-policy eval-", ["eval-benchmark"]),
        ("cosmos-policy bench s", ["seams"]),
        ("cosmos-policy eval --planner b", ["best_of_n"]),
        ("cosmos-policy eval world-model --futu", ["--futures"]),
        ("cosmos-policy bench model --si", ["--size"]),
        ("cosmos-policy bench model --size 2", ["2b"]),
        ("cosmos-policy label my_b", []),  # a file: bash completes it
    ],
)
def test_bash_completes(typed: str, offered: list[str], tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    file = tmp_path / "completion"
    file.write_text(script("bash"))
    typed_words = " ".join(f"'{word}'" for word in typed.split(" "))
    lines = f"source {file}; COMP_WORDS=({typed_words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _cosmos_policy; "
    answer = subprocess.run(
        ["bash", "-uc", lines + 'echo "${COMPREPLY[@]:-}"'], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == offered and not answer.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_their_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "completion"
    file.write_text(script(shell))
    subprocess.run([shell, "--no-execute", str(file)], check=True)


def test_fish_is_told_what_each_command_does() -> None:
    assert "-a train -d 'train a policy on recorded episodes'" in script("fish")
    assert "-l planner -x -a 'direct best_of_n'" in script("fish")


def test_zsh_runs_the_script_of_bash() -> None:
    assert script("zsh").startswith("#compdef cosmos-policy\n") and script("zsh").endswith(script("bash"))
