"""Messages, services and actions, with the comments of their files."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src" / "cosmos_policy_msgs"
KINDS = {"action": "Actions", "srv": "Services", "msg": "Messages"}


def page() -> str:
    """Write the page."""
    parts = [
        "# Interfaces\n\n`cosmos_policy_msgs`. Units stand in brackets, arrays are flat in the order that is given, "
        "and every way something can end is a named constant. In a terminal: "
        "`ros2 interface show cosmos_policy_msgs/...`.\n"
        "Which node offers what under which name: [the graph](../concepts/graph.md).\n"
    ]
    for kind, title in KINDS.items():
        parts.append(f"## {title}\n")
        parts += [_interface(file) for file in sorted((FOLDER / kind).glob(f"*.{kind}"))]
    return "\n".join(parts)


def _interface(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    said = 0
    while said < len(lines) and lines[said].startswith("#"):
        said += 1
    sentence = " ".join(line.lstrip("# ") for line in lines[:said])
    body = "\n".join(lines[said:]).strip()
    return f"### {file.stem}\n\n{sentence}\n\n```\n{body}\n```\n"
