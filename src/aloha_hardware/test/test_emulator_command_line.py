"""What the emulator refuses to emulate: one sentence that names the option and what may be given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from arm_kit import follower

from aloha_hardware.emulator import cli
from aloha_hardware.emulator.line import EmulatedLine

IDS = "this arm has no motor '{}'. Use one of: 1, 2, 3, 4, 5, 6, 7, 8, 9."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baud", "99=1"], f"--baud 99=1: {IDS.format(99)}"),
        (["--baud", "4=99"], "--baud 4=99: write ID=CODE with one of: "),
        (["--baud", "4"], "--baud 4: write ID=CODE with one of: "),
        (["--angles", "shoulder=nan"], "--angles shoulder=nan: 'nan' must be a number from -6.28319 to 6.28319."),
        (["--angles", "shoulder=inf"], "--angles shoulder=inf: 'inf' must be a number from -6.28319 to 6.28319."),
        (["--angles", "shoulder=near"], "--angles shoulder=near: 'near' must be a number"),
        (["--angles", "wheel=0"], "--angles wheel=0: write JOINT=RAD with one of: waist, "),
        (["--missing", "42"], f"--missing: {IDS.format(42)}"),
        (["--model", "42=XM430-W350"], f"--model 42=XM430-W350: {IDS.format(42)}"),
        (["--model", "4=AX-12"], "--model 4=AX-12: write ID=MODEL with one of: "),
        (["--drop", "5"], "--drop: '5' must be a number from 0 to 1."),
        (["--corrupt", "nan"], "--corrupt: 'nan' must be a number from 0 to 1."),
        (["--late=-0.1"], "--late: '-0.1' must be a number from 0 to 1."),
        (["--firmware", "300"], "--firmware: '300' must be a whole number from 0 to 255."),
        (["--firmware", "new"], "--firmware: 'new' must be a whole number from 0 to 255."),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower() as line:
        yield line


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("drop 5", "drop: '5' must be a number from 0 to 1."),
        ("corrupt nan", "corrupt: 'nan' must be a number from 0 to 1."),
        ("late 0.1 inf", "late: 'inf' must be a number from 0 to 10."),
        ("remove 42", f"remove: {IDS.format(42)}"),
        ("restore x", f"restore: {IDS.format('x')}"),
        ("double 42", f"double: {IDS.format(42)}"),
        ("fail 42 32", f"fail: {IDS.format(42)}"),
        ("fail 4 256", "fail: '256' must be a whole number from 0 to 255."),
        ("drop", "drop: something is missing or unknown."),
        ("block wheel", "block wheel: something is missing or unknown."),
    ],
)
def test_a_line_that_cannot_be_meant_changes_nothing(line: EmulatedLine, words: str, answer: str) -> None:
    chain = line.chain
    assert cli.execute(line, words.split()).startswith(answer)
    assert (chain.removed, chain.faults.drop, chain.faults.corrupt, chain.faults.late) == (set(), 0.0, 0.0, 0.0)
    assert len(chain.motors) == 9
    assert not any(motor.registers.get("hardware_error_status") for motor in chain.motors)


def test_a_line_that_is_meant_is_done(line: EmulatedLine) -> None:
    for words in ("drop 0.1", "late 0.2 0.05", "remove 4", "fail 9 32", "double 8"):
        assert cli.execute(line, words.split()) == "done"
    faults = line.chain.faults
    assert (faults.drop, faults.late, faults.delay, line.chain.removed) == (0.1, 0.2, 0.05, {4})
    assert line.chain.motor(9).registers.get("hardware_error_status") == 32
    assert [motor.id for motor in line.chain.motors].count(8) == 2
