"""`cosmos-policy`: one word per job. A subcommand's module is imported only when it runs."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Sequence

from cosmos_policy_core.errors import CosmosPolicyError

# group -> word, or two -> (module with a `main` function, one line)
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "data": {
        "collect-demos": ("collect", "let the scripted expert record demonstrations in simulation"),
        "convert": ("convert", "turn recordings into training files or LeRobot datasets, and back"),
        "label": ("label", "say what came of recorded episodes"),
        "recover": ("recover", "save what a killed recorder had written"),
        "inspect-data": ("inspect", "check a folder of episodes and name what is broken"),
        "statistics": ("statistics", "compute what actions and proprioception are normalised with"),
    },
    "model": {
        "train": ("train", "train a policy on recorded episodes"),
        "import-checkpoint": ("import_checkpoint", "turn NVIDIA's released files into a checkpoint folder"),
        "embed-instructions": ("embed_instructions", "embed instructions with T5 for a checkpoint"),
    },
    "judge": {
        "eval": ("evaluate", "measure the success rate of a checkpoint in closed loop"),
        "eval world-model": ("evaluate_world_model", "hold imagined futures and values against the simulator"),
        "eval-benchmark": ("evaluate_benchmark", "measure the success rate of a checkpoint in LIBERO or RoboCasa"),
        "report": ("report", "show a recorded run, or evaluations, as a page with figures and a film"),
        "explain-plan": ("explain_plan", "draw what the planner decided, among what, and why"),
    },
    "robot and machine": {
        "doctor": ("doctor", "check machine, ROS 2, ports, motors and cameras, and say what to fix"),
        "view": ("view", "show a running graph in the browser of this machine"),
        "bench": ("bench", "measure model, planner, seams, control or recorder, or try all faults"),
        "completion": ("completion", "print what bash, zsh or fish needs to complete all this"),
    },
}
COMMANDS = {word: command for commands in GROUPS.values() for word, command in commands.items()}

EXIT_STATUS = """\
exit status: 0 done; 1 done, with a bad result (episodes left out, a check that failed); 2 a mistake in what was asked,
said in one sentence; 130 interrupted. With --json the last line of the output is a JSON object, all else for people."""

USER_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status: 0, 1 for a bad result, 2 for a user's mistake."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else USER_ERROR
    known = available()
    if " ".join(words[:2]) in known:
        words[:2] = [" ".join(words[:2])]
    if words[0] not in known:
        close = difflib.get_close_matches(words[0], known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Use one of: {', '.join(known)}."
        return _complain(f"'{words[0]}' is not a command. {hint}")
    try:
        return _run(words[0], words[1:])
    except CosmosPolicyError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _complain("interrupted.", INTERRUPTED)


def available() -> list[str]:
    """Commands whose module is installed."""
    return [word for word, (module, _) in COMMANDS.items() if importlib.util.find_spec(_full(module))]


def usage() -> str:
    """Say what there is."""
    lines, known = ["usage: cosmos-policy COMMAND [OPTIONS]   (COMMAND --help for options and examples)"], available()
    for group, commands in GROUPS.items():
        rows = [f"  {word:<20}{line}" for word, (_, line) in commands.items() if word in known]
        lines += ["", f"{group}:", *rows]
    return "\n".join([*lines, "", EXIT_STATUS])


def _run(word: str, arguments: list[str]) -> int:
    import tyro

    from cosmos_policy_core.commands import described

    function = described.function_of(COMMANDS[word][0])
    about = described.description(function)
    status = tyro.cli(function, prog=f"cosmos-policy {word}", description=about, args=arguments)
    return int(status or 0)


def _full(module: str) -> str:
    return f"cosmos_policy_core.commands.{module}"


def _complain(message: str, status: int = USER_ERROR) -> int:
    print(f"cosmos-policy: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
