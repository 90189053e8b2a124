"""The sources of the description expand to what is shipped, and to its variants."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

xacro = pytest.importorskip("xacro", reason="xacro is not installed: pip install xacro")

PACKAGE = Path(__file__).parents[1]
SHIPPED = {
    "aloha.urdf": ("aloha.urdf.xacro", {}),
    "vx300s.urdf": ("single_arm.urdf.xacro", {"model": "vx300s"}),
    "wx250s.urdf": ("single_arm.urdf.xacro", {"model": "wx250s"}),
}


@cache
def expand(source: str, **arguments: str) -> str:
    return xacro.process_file(str(PACKAGE / "urdf" / source), mappings=arguments).toxml()


def links(text: str) -> set[str | None]:
    return {link.get("name") for link in ElementTree.fromstring(text).findall("link")}


@pytest.mark.parametrize("shipped", SHIPPED)
def test_the_shipped_urdf_is_what_its_source_expands_to(shipped: str) -> None:
    source, arguments = SHIPPED[shipped]
    now = ElementTree.canonicalize(expand(source, **arguments), strip_text=True)
    before = ElementTree.canonicalize((PACKAGE / "urdf" / shipped).read_text(), strip_text=True)
    assert now == before, f"{shipped} is old. Run src/aloha_description/expand.sh"


def test_leaders_are_drawn_when_asked_for() -> None:
    added = links(expand("aloha.urdf.xacro", leaders="true")) - links(expand("aloha.urdf.xacro"))
    assert {"leader_left/gripper_link", "leader_right/gripper_link"} <= added
    assert all(name.startswith(("leader_left/", "leader_right/")) for name in added)


@pytest.mark.parametrize("model", ["vx300s", "wx250s"])
def test_meshes_come_from_the_vendors_package_and_change_nothing_else(model: str) -> None:
    plain = ElementTree.fromstring(expand("single_arm.urdf.xacro", model=model))
    meshed = ElementTree.fromstring(expand("single_arm.urdf.xacro", model=model, meshes="true"))
    files = {mesh.get("filename") for mesh in meshed.iter("mesh")}
    folder = f"package://interbotix_xsarm_descriptions/meshes/aloha_{model}_meshes"
    parts = ("base", "shoulder", "upper_arm", "upper_forearm", "lower_forearm", "wrist")
    gripper = ("gripper", "gripper_prop", "gripper_bar", "gripper_finger")
    assert files == {f"{folder}/{part}.stl" for part in parts + gripper}
    for robot in (plain, meshed):
        for link in robot.findall("link"):
            for visual in link.findall("visual"):
                link.remove(visual)
    assert ElementTree.canonicalize(ElementTree.tostring(plain), strip_text=True) == ElementTree.canonicalize(
        ElementTree.tostring(meshed), strip_text=True
    )


def test_the_cell_hands_meshes_on_to_its_arms() -> None:
    robot = ElementTree.fromstring(expand("aloha.urdf.xacro", meshes="true"))
    for arm in ("follower_left", "follower_right"):
        assert robot.find(f"link[@name='{arm}/wrist_link']/visual/geometry/mesh") is not None


def test_a_wrong_value_of_meshes_is_refused() -> None:
    with pytest.raises(xacro.XacroException, match="maybe"):
        expand("single_arm.urdf.xacro", model="vx300s", meshes="maybe")


def test_another_cell_is_described_by_its_own_file(tmp_path: Path) -> None:
    cell = yaml.safe_load((PACKAGE / "config" / "cell.yaml").read_text().replace("!degrees", ""))
    cell["cameras"]["cam_high"]["at"] = "0.1 0.2 0.3"
    (tmp_path / "cell.yaml").write_text(yaml.safe_dump(cell))
    robot = ElementTree.fromstring(expand("aloha.urdf.xacro", cell=str(tmp_path / "cell.yaml")))
    assert robot.find("joint[@name='cam_high_mount']/origin").get("xyz") == "0.1 0.2 0.3"
