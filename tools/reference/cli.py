"""The command `cosmos-policy`, in its own words."""

from __future__ import annotations

from cosmos_policy_core import cli
from cosmos_policy_core.commands import described

WIDTH = 110  # columns


def page() -> str:
    """Write the page."""
    parts = [f"# Command line\n\n```\n{cli.usage()}\n```\n"]
    for group, commands in cli.GROUPS.items():
        parts.append(f"## {group.capitalize()}\n")
        for word, (module, _) in commands.items():
            for inner in described.words(word, module):
                parts.append(
                    f"### cosmos-policy {inner}\n\n```\n{described.help_text(inner, module, WIDTH).strip()}\n```\n"
                )
    return "\n".join(parts)
