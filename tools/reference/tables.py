"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; bars and angle brackets in the cells stay text."""
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def code(value: object) -> str:
    """Show a value as it is typed; nothing where there is none."""
    return f"`{value}`" if str(value) else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    text = text.replace("|", "\\|")
    return text if text.startswith("`") else text.replace("<", "&lt;")
