"""The body of a robot as URDF: the file that was named, or the ALOHA cell that ships for its own arms."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers.expat import ExpatError

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from cosmos_policy.errors import ParameterError
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DescriptionError
from cosmos_policy_core.geometry import RobotDescription

SHIPPED, SOURCE = "aloha.urdf", "aloha.urdf.xacro"
MODELS = ("vx300s",)  # arms that the shipped cell is made of
MESHES = "interbotix_xsarm_descriptions"  # the vendor's package


def read_description(path: str, contract: Embodiment) -> RobotDescription:
    """Read what a view draws of a robot: a URDF or xacro file, or the shipped cell where the path is empty.

    Raises:
        ParameterError: no file is named, and none ships.
        DescriptionError: the file cannot be read.
    """
    return RobotDescription.of(description_text(path, contract), path or SHIPPED)


def description_text(path: str, contract: Embodiment, *, meshes: bool = False) -> str:
    """Return the URDF of a robot.

    Args:
        path: a URDF or xacro file; empty: the cell that ships.
        meshes: draw the shipped cell with the vendor's meshes where they are installed.

    Raises:
        ParameterError: no file is named, and none ships.
        DescriptionError: the file cannot be read.
    """
    if path:
        return _expanded(Path(path)) if path.endswith(".xacro") else _text(Path(path))
    for arm in contract.arms:
        if arm.model not in MODELS:
            raise ParameterError(
                f"description: no URDF ships for {arm.name} (model: {arm.model}). Name a URDF or xacro file of your "
                f"robot whose links are called {arm.name}/..."
            )
    folder = _cell()
    return _expanded(folder / SOURCE, meshes="true") if meshes and _installed(MESHES) else _text(folder / SHIPPED)


def arm_part(text: str, arm: str) -> str:
    """Return the tree of one arm out of a URDF, its names without `<arm>/`, as the arm's driver publishes joints.

    Only what frames need: shapes stay with the whole robot.

    Raises:
        DescriptionError: the description has no link of the arm.
    """
    whole, prefix = ElementTree.fromstring(text), f"{arm}/"
    part = Element("robot", name=arm)
    for link in whole.findall("link"):
        if link.attrib["name"].startswith(prefix):
            part.append(Element("link", name=link.attrib["name"].removeprefix(prefix)))
    if not len(part):
        raise DescriptionError(f"description: no link is called {prefix}... Name the arm's links and joints that way.")
    for joint in whole.findall("joint"):
        ends = [end for tag in ("parent", "child") if (end := joint.find(tag)) is not None]
        if all(end.attrib["link"].startswith(prefix) for end in ends):
            for element, key in [(joint, "name"), *((end, "link") for end in ends), *_mimics(joint)]:
                element.attrib[key] = element.attrib[key].removeprefix(prefix)
            part.append(joint)
    return ElementTree.tostring(part, encoding="unicode")


def _mimics(joint: Element) -> list[tuple[Element, str]]:
    return [(mimic, "joint") for mimic in joint.findall("mimic")]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(f"{path}: cannot be read ({error}). Name a URDF or xacro file.") from None


def _expanded(path: Path, **arguments: str) -> str:
    try:
        import xacro
    except ImportError:
        raise DescriptionError(
            f"{path}: xacro is not installed. Install it (pip install xacro), or name a URDF."
        ) from None
    try:
        return str(xacro.process_file(str(path), mappings=arguments).toxml())
    except (xacro.XacroException, ExpatError, OSError) as error:
        raise DescriptionError(f"{path}: xacro cannot expand it ({error}). Correct it, or name a URDF.") from error


def _cell() -> Path:
    try:
        return Path(get_package_share_directory("aloha_description"), "urdf")
    except PackageNotFoundError:
        raise ParameterError(
            "description: aloha_description is not installed. Build it ('make setup'), or name a URDF of your robot."
        ) from None


def _installed(package: str) -> bool:
    try:
        get_package_share_directory(package)
    except PackageNotFoundError:
        return False
    return True
