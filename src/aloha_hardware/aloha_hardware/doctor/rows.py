"""How a finding is written: the keys of `cosmos_policy_core.doctor.Finding`, which this package may not import."""

from __future__ import annotations


def row(area: str, level: str, message: str, remedy: str = "") -> dict[str, str]:
    """Write a finding."""
    return {"area": area, "level": level, "message": message, "remedy": remedy}


def problem(area: str, text: object) -> dict[str, str]:
    """Split one of our error messages into what is wrong and what to do."""
    what, _, remedy = str(text).partition(". ")
    return row(area, "error", what.rstrip("."), remedy)
