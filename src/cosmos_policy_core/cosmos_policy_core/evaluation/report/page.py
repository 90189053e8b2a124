"""A report as one HTML file that can be mailed: figures inside, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTIONS = {
    "imagined": "What the model imagined, beside what came true",
    "value_over_time": "How sure it was, and when",
    "candidates": "What it chose among",
    "latency": "What the time went into",
    "joints": "What the arms did",
    "tracking_error": "How closely they followed",
    "success": "How often it succeeded",
    "lengths": "How long it took",
    "thinking": "How long plans took",
    "truth": "Values and futures against the simulator",
    "sights": "Before, as imagined, and as it came",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { margin-bottom: .2em } h2 { margin-top: 1.8em; font-size: 1.15em } img, video { max-width: 100%; }
table { border-collapse: collapse } td, th { padding: .15em 1.2em .15em 0; text-align: left; vertical-align: top }
th { font-weight: normal; color: #777 }
"""
DPI = 110


def write_figures(folder: Path, figures: Mapping[str, Figure]) -> dict[str, Path]:
    """Write figures as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, figure in figures.items():
        files[name] = folder / f"{name}.png"
        files[name].write_bytes(png(figure))
    return files


def png(figure: Figure) -> bytes:
    """Draw a figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def page(
    title: str,
    facts: Mapping[str, str],
    pictures: Mapping[str, bytes],
    table: Sequence[Sequence[str]] = (),
    video: str = "",
) -> str:
    """Return the HTML of a report.

    Args:
        pictures: PNG bytes by name, in the order of the page.
        table: rows, the first one the heading.
        video: path of a film relative to the page; empty: none.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", _table([(f"{key}", value) for key, value in facts.items()])]
    if table:
        parts.append(_table(table))
    if video:
        parts.append(f'<h2>The run</h2><video controls src="{html.escape(video)}"></video>')
    for name, data in pictures.items():
        parts.append(f"<h2>{html.escape(CAPTIONS.get(name, name))}</h2>")
        parts.append(f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">')
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for row in rows:
        first, *rest = (html.escape(str(cell)) for cell in row)
        lines.append(f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>")
    return f"<table>{''.join(lines)}</table>"
