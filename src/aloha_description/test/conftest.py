"""The description as its users read it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

URDF = Path(__file__).parents[1] / "urdf"


@pytest.fixture
def cell() -> ElementTree.Element:
    """The shipped cell: `aloha.urdf`."""
    return ElementTree.parse(URDF / "aloha.urdf").getroot()


@pytest.fixture(params=["vx300s", "wx250s"])
def arm(request: pytest.FixtureRequest) -> ElementTree.Element:
    """A shipped arm on its own."""
    return ElementTree.parse(URDF / f"{request.param}.urdf").getroot()
