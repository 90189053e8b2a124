"""The table of docs/safety.md: rows from outcomes, written between two markers of a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cosmos_policy.errors import GraphError
from cosmos_policy.faults.outcome import Outcome

BEGIN = "<!-- faults: begin (written by `ros2 run cosmos_policy faults --write docs/safety.md`) -->"
END = "<!-- faults: end -->"
HEADS = ("Fault", "The arms", "Last new goal", "Standstill", "Goals later than {grace}", "The user is told", "Back")
LONGEST = 150  # characters of what the user is told


def table(outcomes: Sequence[Outcome], grace: float) -> str:
    """Write outcomes as a Markdown table; times in milliseconds."""
    heads = [head.format(grace=f"{1e3 * grace:.0f} ms") for head in HEADS]
    rows = [heads, ["---"] * len(heads), *(_row(outcome) for outcome in outcomes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(page: Path, text: str) -> None:
    """Put text between the markers of a page.

    Raises:
        GraphError: the page has no markers.
    """
    content = page.read_text(encoding="utf-8")
    if BEGIN not in content or END not in content:
        raise GraphError(f"{page}: there is no place for the table. Put these two lines in: {BEGIN} and {END}")
    before, _, rest = content.partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _row(outcome: Outcome) -> list[str]:
    arms = outcome.expected if outcome.well else f"**{outcome.problem or 'did not come back'}**"
    told = [_short(text) for text in outcome.told[:1]]
    if outcome.reason:
        told.insert(0, f"`{outcome.reason}`")
    cells = [outcome.fault, arms, _milliseconds(outcome.told_after), _milliseconds(outcome.held_after)]
    cells += ["" if outcome.late is None else str(outcome.late), " ".join(told), outcome.recovery]
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else "at once" if seconds == 0.0 else f"{1e3 * seconds:.0f} ms"


def _short(text: str) -> str:
    plain = re.sub(r"/\S*/(ttyDXL_\w+)", r"/dev/\1", text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST].rsplit(' ', 1)[0]} ..."
