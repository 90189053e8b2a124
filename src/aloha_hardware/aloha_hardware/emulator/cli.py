"""`ros2 run aloha_hardware dynamixel_emulator`: an arm to try the whole bring-up on, without an arm."""

from __future__ import annotations

import argparse
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from aloha_hardware.control_table import describe_hardware_error
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.emulator.trace import Trace
from aloha_hardware.errors import HardwareError, SettingsError
from aloha_hardware.motors import CHAINS, MODELS, with_models

QUIET = 0.3  # [s] without an instruction: the driver is gone
LONGEST_FAREWELL = 3.0  # [s]

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
        models = dict(_model(text) for text in options.model)
        chain = Chain(with_models(CHAINS[options.arm], models), options.firmware, falls=not options.stays)
        chain.removed.update(options.missing)
        chain.faults.drop, chain.faults.corrupt, chain.faults.late = options.drop, options.corrupt, options.late
        for ident, baud in (_pair(text) for text in options.baud):
            chain.motor(ident).registers.set("baud_rate", baud)
        chain.pose(dict(_angle(chain, text) for text in options.angles))
        line = EmulatedLine(chain, options.link, trace=Trace(options.trace) if options.trace else None)
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
    add("--firmware", type=int, default=46, help="firmware version; fast sync read needs 45 (default: 46)")
    add("--stays", action="store_true", help="joints without torque stay where they are instead of sinking")
    add("--angles", nargs="*", default=[], metavar="JOINT=RAD", help="where joints are at first, e.g. shoulder=-0.96")
    add("--trace", metavar="FILE", help="write speeds, goals and torque there, a JSON object per line")
    add("--missing", type=int, nargs="*", default=[], metavar="ID", help="motors that are not there")
    add("--model", nargs="*", default=[], metavar="ID=MODEL", help=f"another model at an ID: {', '.join(MODELS)}")
    add("--baud", nargs="*", default=[], metavar="ID=CODE", help="a motor left at another rate (1 is 57 600)")
    for name in ("drop", "corrupt", "late"):
        add(f"--{name}", type=float, default=0.0, metavar="P", help=f"share of status packets to {name}, 0..1")
    return parser


def _pair(text: str) -> tuple[int, int]:
    ident, _, value = text.partition("=")
    if not (ident.isdigit() and value.isdigit()):
        raise SettingsError(f"'{text}' is not ID=NUMBER. Write for example 4=1.")
    return int(ident), int(value)


def _angle(chain: Chain, text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in chain.joints:
        raise SettingsError(f"--angles {text}: write JOINT=RAD with one of: {', '.join(chain.joints)}.")
    try:
        return name, float(value)
    except ValueError:
        raise SettingsError(f"--angles {text}: '{value}' is not a number.") from None


def _model(text: str) -> tuple[int, str]:
    ident, _, name = text.partition("=")
    if not ident.isdigit() or name not in MODELS:
        raise SettingsError(f"--model {text}: write ID=MODEL with one of: {', '.join(MODELS)}.")
    return int(ident), name


def _listen(line: EmulatedLine, ended: threading.Event) -> None:
    while not ended.is_set():
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if not ready:
            continue
        text = sys.stdin.readline()
        if not text:  # no terminal behind it: only a signal ends it
            ended.wait()
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
        "remove": lambda: chain.removed.add(int(arguments[0])),
        "restore": lambda: chain.removed.discard(int(arguments[0])),
        "drop": lambda: setattr(chain.faults, "drop", float(arguments[0])),
        "corrupt": lambda: setattr(chain.faults, "corrupt", float(arguments[0])),
        "late": lambda: _late(chain, arguments),
        "block": lambda: _block(chain, arguments[0]),
        "free": lambda: _free(chain, arguments[0]),
        "fail": lambda: chain.motor(int(arguments[0])).fail(int(arguments[1])),
        "double": lambda: chain.double(int(arguments[0])),
    }
    if verb not in verbs:
        return EXAMPLES
    try:
        with line.lock:
            verbs[verb]()
    except (IndexError, KeyError, ValueError, StopIteration):
        return f"{' '.join(words)}: something is missing or unknown.\n{EXAMPLES}"
    return _status(chain) if verb == "status" else "done"


def _late(chain: Chain, arguments: Sequence[str]) -> None:
    chain.faults.late = float(arguments[0])
    if len(arguments) > 1:
        chain.faults.delay = float(arguments[1])


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
