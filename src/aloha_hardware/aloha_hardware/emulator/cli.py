"""`ros2 run aloha_hardware dynamixel_emulator`: an arm to try the whole bring-up on, without an arm."""

from __future__ import annotations

import argparse
import math
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from aloha_hardware.control_table import BAUD_RATES, describe_hardware_error
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.emulator.motor import EmulatedMotor
from aloha_hardware.emulator.trace import Trace
from aloha_hardware.errors import HardwareError, SettingsError
from aloha_hardware.motors import CHAINS, MODELS, Motor, with_models
from aloha_nodes.waiting import wait_for_end

QUIET = 0.3  # [s] without an instruction: the driver is gone
LONGEST_FAREWELL = 3.0  # [s]
LONGEST_DELAY = 10.0  # [s] of a late status packet
FULL_TURN = 2 * math.pi  # [rad]

EXAMPLES = """\
example, two terminals:
  ros2 run aloha_hardware dynamixel_emulator --link /tmp/ttyDXL_follower_left
  ros2 run aloha_hardware arm_driver_node --ros-args -r __ns:=/follower_left \\
      -p port:=/tmp/ttyDXL_follower_left

While it runs, type into its terminal:
  status                what every motor does
  unplug | plug         pull the USB cable, put it back
  remove ID | restore ID    a motor without cable, and with it again
  drop P | corrupt P | late P [SECONDS]   spoil this share of the status packets, 0..1
  block JOINT | free JOINT  something holds the joint in both directions
  fail ID BITS          raise a hardware error: 1 voltage, 4 overheating, 8 encoder, 16 shock, 32 overload
  double ID             a second motor with this ID
  quit
"""


def main(args: Sequence[str] | None = None) -> int:
    """Serve one arm until Ctrl-C or `quit`."""
    options = _parser().parse_args(args)
    try:
        line = EmulatedLine(_chain(options), options.link, trace=Trace(options.trace) if options.trace else None)
    except (HardwareError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with line:
        print(f"{options.arm} arm on {line.path}", flush=True)
        _listen(line, ended)
        _let_finish(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dynamixel_emulator",
        description="Emulate the nine DYNAMIXEL motors of an ALOHA arm on a pseudo-terminal, down to the bytes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arm", choices=sorted(CHAINS), default="follower", help="which chain of motors (default: follower)")
    add("--link", help="make this symbolic link to the port, e.g. /tmp/ttyDXL_follower_left")
    add("--firmware", default="46", metavar="VERSION", help="firmware version; fast sync read needs 45 (default: 46)")
    add("--stays", action="store_true", help="joints without torque stay where they are instead of sinking")
    add("--angles", nargs="*", default=[], metavar="JOINT=RAD", help="where joints are at first, e.g. shoulder=-0.96")
    add("--trace", metavar="FILE", help="write speeds, goals and torque there, a JSON object per line")
    add("--missing", nargs="*", default=[], metavar="ID", help="motors that are not there")
    add("--model", nargs="*", default=[], metavar="ID=MODEL", help=f"another model at an ID: {', '.join(MODELS)}")
    add("--baud", nargs="*", default=[], metavar="ID=CODE", help="a motor left at another rate (1 is 57 600)")
    for name in ("drop", "corrupt", "late"):
        add(f"--{name}", default="0", metavar="P", help=f"share of status packets to {name}, 0..1")
    return parser


def _chain(options: argparse.Namespace) -> Chain:
    """Build the motors.

    Raises:
        SettingsError: naming the option, and what may be given.
    """
    motors = CHAINS[options.arm]
    models = dict(_model(text, motors) for text in options.model)
    firmware = _whole("--firmware", options.firmware, 255)
    chain = Chain(with_models(motors, models), firmware, falls=not options.stays)
    chain.removed.update(_ident("--missing", text, motors) for text in options.missing)
    for name in ("drop", "corrupt", "late"):
        setattr(chain.faults, name, _number(f"--{name}", getattr(options, name), 0.0, 1.0))
    for text in options.baud:
        ident, code = _baud(text, motors)
        chain.motor(ident).registers.set("baud_rate", code)
    chain.pose(dict(_angle(chain, text) for text in options.angles))
    return chain


def _number(what: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise SettingsError(f"{what}: '{text}' must be a number from {low:g} to {high:g}.")
    return value


def _whole(what: str, text: str, high: int) -> int:
    if not (text.isdecimal() and int(text) <= high):
        raise SettingsError(f"{what}: '{text}' must be a whole number from 0 to {high}.")
    return int(text)


def _ident(what: str, text: str, motors: Iterable[Motor | EmulatedMotor]) -> int:
    idents = sorted({motor.id for motor in motors})
    if not (text.isdecimal() and int(text) in idents):
        raise SettingsError(f"{what}: this arm has no motor '{text}'. Use one of: {', '.join(map(str, idents))}.")
    return int(text)


def _baud(text: str, motors: Iterable[Motor]) -> tuple[int, int]:
    ident, _, code = text.partition("=")
    if not (code.isdecimal() and int(code) in BAUD_RATES):
        known = ", ".join(f"{code} ({rate})" for code, rate in sorted(BAUD_RATES.items()))
        raise SettingsError(f"--baud {text}: write ID=CODE with one of: {known}.")
    return _ident(f"--baud {text}", ident, motors), int(code)


def _angle(chain: Chain, text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in chain.joints:
        raise SettingsError(f"--angles {text}: write JOINT=RAD with one of: {', '.join(chain.joints)}.")
    return name, _number(f"--angles {text}", value, -FULL_TURN, FULL_TURN)


def _model(text: str, motors: Iterable[Motor]) -> tuple[int, str]:
    ident, _, name = text.partition("=")
    if name not in MODELS:
        raise SettingsError(f"--model {text}: write ID=MODEL with one of: {', '.join(MODELS)}.")
    return _ident(f"--model {text}", ident, motors), name


def _listen(line: EmulatedLine, ended: threading.Event) -> None:
    while not ended.is_set():
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if not ready:
            continue
        text = sys.stdin.readline()
        if not text:  # no terminal behind it: only a signal ends it
            wait_for_end(ended)
            return
        words = text.split()
        if words[:1] == ["quit"]:
            return
        if words:
            print(execute(line, words), flush=True)


def _let_finish(line: EmulatedLine) -> None:
    """Stay while somebody talks: a driver that ends by the same Ctrl-C still brings its arm to rest."""
    end, heard = time.monotonic() + LONGEST_FAREWELL, -1
    while line.chain.instructions != heard and time.monotonic() < end:
        heard = line.chain.instructions
        time.sleep(QUIET)


def execute(line: EmulatedLine, words: Sequence[str]) -> str:
    """Do what a line of input says, and return what to answer."""
    verb, arguments = words[0], words[1:]
    chain = line.chain
    verbs: dict[str, Callable[[], object]] = {
        "status": lambda: None,
        "unplug": line.unplug,
        "plug": line.plug,
        "remove": lambda: chain.removed.add(_ident(verb, arguments[0], chain.motors)),
        "restore": lambda: chain.removed.discard(_ident(verb, arguments[0], chain.motors)),
        "drop": lambda: setattr(chain.faults, "drop", _number(verb, arguments[0], 0.0, 1.0)),
        "corrupt": lambda: setattr(chain.faults, "corrupt", _number(verb, arguments[0], 0.0, 1.0)),
        "late": lambda: _late(chain, arguments),
        "block": lambda: _block(chain, arguments[0]),
        "free": lambda: _free(chain, arguments[0]),
        "fail": lambda: _fail(chain, arguments),
        "double": lambda: chain.double(_ident(verb, arguments[0], chain.motors)),
    }
    if verb not in verbs:
        return EXAMPLES
    try:
        with line.lock:
            verbs[verb]()
    except SettingsError as error:
        return str(error)
    except (IndexError, KeyError):
        return f"{' '.join(words)}: something is missing or unknown.\n{EXAMPLES}"
    return _status(chain) if verb == "status" else "done"


def _late(chain: Chain, arguments: Sequence[str]) -> None:
    share = _number("late", arguments[0], 0.0, 1.0)
    if len(arguments) > 1:
        chain.faults.delay = _number("late", arguments[1], 0.0, LONGEST_DELAY)
    chain.faults.late = share


def _fail(chain: Chain, arguments: Sequence[str]) -> None:
    ident, bits = _ident("fail", arguments[0], chain.motors), _whole("fail", arguments[1], 255)
    chain.motor(ident).fail(bits)


def _block(chain: Chain, name: str) -> None:
    joint = chain.joints[name]
    joint.low = joint.high = joint.angle


def _free(chain: Chain, name: str) -> None:
    joint = chain.joints[name]
    joint.low, joint.high = -float("inf"), float("inf")


def _status(chain: Chain) -> str:
    lines = []
    for motor in chain.motors:
        get = motor.registers.get
        error = get("hardware_error_status")
        columns = [f"ID {motor.id}", motor.model.name, f"{motor.joint.angle:+.3f} rad"]
        columns += ["torque on " if motor.torque else "torque off", f"{motor.temperature:.0f} °C"]
        lines.append("  ".join(columns + ([describe_hardware_error(error)] if error else [])))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
