"""A scorer: one more device, here or on another machine, that imagines and values candidates."""

from __future__ import annotations

import sys
from typing import Any

from aloha_nodes.running import run
from cosmos_policy.policy_node import PolicyNode


class ScorerNode(PolicyNode):
    """The policy node without proposals, as often as there are devices: each under a name of its own.

    Name it in the planner's parameter `scorers`. Scorers of one planner load the same checkpoint.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("scorer", proposes=False, **options)


def main(args: list[str] | None = None) -> int:
    """Run a scorer."""
    return run(ScorerNode, args)


if __name__ == "__main__":
    sys.exit(main())
