"""Read what a viewer needs of a URDF: the tree of joints, and the primitive shapes of the links.

Dynamics, collision shapes and meshes are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.errors import DescriptionError
from cosmos_policy_core.geometry.rotations import Array, transform

MOVING = ("revolute", "continuous", "prismatic")
GREY = (0.6, 0.6, 0.6, 1.0)


@dataclass(frozen=True)
class Shape:
    """A box (length, width, height), cylinder (radius, length; along z) or sphere (radius,) of a link [m]."""

    kind: str
    size: tuple[float, ...]
    origin: Array
    colour: tuple[float, ...]


@dataclass(frozen=True)
class Mimic:
    """A joint that follows another one: multiplier * position + offset."""

    joint: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class Joint:
    """How a child link moves in its parent; `origin` is (4, 4), `axis` (3,) of unit length in the joint's frame."""

    name: str
    kind: str
    parent: str
    child: str
    origin: Array
    axis: NDArray[np.float64]
    mimic: Mimic | None = None

    @property
    def moves(self) -> bool:
        """Whether the joint has a position."""
        return self.kind in MOVING


@dataclass(frozen=True)
class RobotDescription:
    """A robot as a tree: shapes by link, and the joints, parents before children."""

    name: str
    root: str
    links: Mapping[str, tuple[Shape, ...]]
    joints: tuple[Joint, ...]

    @classmethod
    def read(cls, path: Path | str) -> RobotDescription:
        """Read a URDF file.

        Raises:
            DescriptionError: it is not there, or is not a URDF of one tree.
        """
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise DescriptionError(f"{path}: cannot be read ({error.strerror}). Name a URDF file.") from error
        except UnicodeDecodeError as error:
            raise DescriptionError(f"{path}: not a URDF ({error}). Expand it with xacro first.") from error
        return cls.of(text, path)

    @classmethod
    def of(cls, text: str, where: Path | str) -> RobotDescription:
        """Read a URDF's text, which errors call by where it is from.

        Raises:
            DescriptionError: it is not a URDF of one tree.
        """
        try:
            return cls.parse(text)
        except (ElementTree.ParseError, ValueError, KeyError, AttributeError) as error:
            raise DescriptionError(f"{where}: not a URDF ({error}). Expand it with xacro first.") from error

    @classmethod
    def parse(cls, text: str) -> RobotDescription:
        """Read a URDF's text; ElementTree.ParseError, ValueError or KeyError where it is none."""
        robot = ElementTree.fromstring(text)
        colours = {material.attrib["name"]: _colour(material) for material in robot.findall("material")}
        links = {link.attrib["name"]: _shapes(link, colours) for link in robot.findall("link")}
        joints = [_joint(joint) for joint in robot.findall("joint")]
        children = {joint.child for joint in joints}
        roots = [link for link in links if link not in children]
        if robot.tag != "robot" or len(roots) != 1:
            raise ValueError(f"{len(roots)} links have no parent, not one")
        return cls(robot.get("name", ""), roots[0], links, _parents_first(roots[0], joints))

    def chain(self, link: str) -> tuple[Joint, ...]:
        """List the joints from the root to a link.

        Raises:
            DescriptionError: there is no such link.
        """
        if link not in self.links:
            raise DescriptionError(f"link '{link}': the description of '{self.name}' has none. Name one of its links.")
        above = {joint.child: joint for joint in self.joints}
        found: list[Joint] = []
        while link in above:
            found.append(above[link])
            link = above[link].parent
        return tuple(reversed(found))


def _parents_first(root: str, joints: list[Joint]) -> tuple[Joint, ...]:
    placed, ordered, left = {root}, [], list(joints)
    while left:
        ready = [joint for joint in left if joint.parent in placed]
        if not ready:
            raise ValueError(f"joint {left[0].name} hangs on no link of the tree")
        ordered += ready
        placed |= {joint.child for joint in ready}
        left = [joint for joint in left if joint.child not in placed]
    return tuple(ordered)


def _joint(element: Element) -> Joint:
    axis = _numbers(element.find("axis"), "xyz", "1 0 0")
    mimic = element.find("mimic")
    return Joint(
        name=element.attrib["name"],
        kind=element.attrib["type"],
        parent=_required(element, "parent").attrib["link"],
        child=_required(element, "child").attrib["link"],
        origin=_origin(element),
        axis=np.asarray(axis) / np.linalg.norm(axis),
        mimic=None
        if mimic is None
        else Mimic(mimic.attrib["joint"], float(mimic.get("multiplier", 1.0)), float(mimic.get("offset", 0.0))),
    )


def _shapes(link: Element, colours: Mapping[str, tuple[float, ...]]) -> tuple[Shape, ...]:
    shapes = []
    for visual in link.findall("visual"):
        colour = _material(visual.find("material"), colours)
        for kind, sizes in (("box", ("size",)), ("cylinder", ("radius", "length")), ("sphere", ("radius",))):
            element = visual.find(f"geometry/{kind}")
            if element is not None:
                size = tuple(number for key in sizes for number in _numbers(element, key, ""))
                shapes.append(Shape(kind, size, _origin(visual), colour))
    return tuple(shapes)


def _material(material: Element | None, colours: Mapping[str, tuple[float, ...]]) -> tuple[float, ...]:
    """Give the colour of a material, which stands in it or under its name at the top of the file."""
    if material is None:
        return GREY
    return _colour(material) if material.find("color") is not None else colours.get(material.get("name", ""), GREY)


def _origin(element: Element) -> Array:
    origin = element.find("origin")
    return transform(_numbers(origin, "xyz", "0 0 0"), _numbers(origin, "rpy", "0 0 0"))


def _colour(material: Element) -> tuple[float, ...]:
    return _numbers(material.find("color"), "rgba", "0.6 0.6 0.6 1")


def _required(element: Element, tag: str) -> Element:
    found = element.find(tag)
    if found is None:
        raise ValueError(f"joint {element.get('name')} has no {tag}")
    return found


def _numbers(element: Element | None, key: str, default: str) -> tuple[float, ...]:
    text = default if element is None else element.get(key, default)
    return tuple(float(word) for word in text.split())
