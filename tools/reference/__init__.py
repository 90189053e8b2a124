"""The pages of docs/reference, made of the code they describe."""

from __future__ import annotations

from collections.abc import Callable

from reference import cli, interfaces, launch, parameters

HEAD = "<!-- Written by `make reference`; edit the code it describes instead. -->\n\n"

PAGES: dict[str, Callable[[], str]] = {
    "interfaces.md": interfaces.page,
    "parameters.md": parameters.page,
    "cli.md": cli.page,
    "launch.md": launch.page,
}


def text(name: str) -> str:
    """Return a page, whole."""
    return HEAD + PAGES[name]().rstrip() + "\n"


__all__ = ["PAGES", "text"]
