"""What every fault on a running graph has: how it is made, what is expected, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cosmos_policy.faults.rig import Rig

Verb = Callable[[Rig], object]


@dataclass(frozen=True)
class Case:
    """A fault, made while something moves.

    Args:
        reasons: terminations that are right; empty: nobody is left who would say one.
        words: what the user must have been told, somewhere.
    """

    name: str
    fault: str
    expected: str
    recovery: str
    break_it: Verb
    mend_it: Verb
    reasons: Sequence[str]
    words: Sequence[str] = ()
