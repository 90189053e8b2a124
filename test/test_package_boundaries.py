"""The arrows between the packages: what each may import, and that its package.xml says so."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src"

# package -> the packages of this suite that its modules may import
ARROWS = {
    "cosmos_policy_core": set(),
    "cosmos_policy": {"cosmos_policy_core", "cosmos_policy_msgs", "aloha_nodes"},
    "aloha_sim": {"cosmos_policy_msgs", "aloha_nodes"},
    "aloha_hardware": {"cosmos_policy_msgs", "aloha_nodes"},
    "aloha_nodes": set(),
}
OURS = {*ARROWS, "cosmos_policy_msgs", "aloha_description"}

NO_TORCH = ("aloha_nodes", "aloha_sim", "aloha_hardware")

# import name -> rosdep key, where they differ
KEYS = {
    "PIL": "python3-pil",
    "ament_index_python": "ament_index_python",
    "cv2": "python3-opencv",
    "einops": "python3-einops-pip",
    "gymnasium": "python3-gymnasium-pip",
    "h5py": "python3-h5py",
    "matplotlib": "python3-matplotlib",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "pydantic": "python3-pydantic",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
    "serial": "python3-serial",
    "torch": "python3-torch",
    "yaml": "python3-yaml",
}

# No rosdep key exists for these; make setup and pip install them.
PIP_ONLY = {
    "av",
    "diffusers",
    "fast_simplification",
    "honcho",
    "huggingface_hub",
    "rosbags",
    "safetensors",
    "tyro",
    "viser",
    "websockets",
}

# Imported where it is used, with a sentence that says what to install.
OPTIONAL = {"pyarrow", "transformers", "libero", "robocasa", "robosuite", "wandb"}

# Needed without an import: started by name, or found through another library.
WITHOUT_IMPORT = {
    "cosmos_policy": {"aloha_description", "aloha_hardware", "aloha_sim", "robot_state_publisher", "rviz2"},
}


def imports(folder: Path) -> dict[str, str]:
    """Top-level modules imported below a folder, each with one file that does."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], str(path.relative_to(SOURCES)))
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names}


def imported(package: str) -> dict[str, str]:
    """What a package's modules and launch files import, itself left out."""
    found = imports(SOURCES / package / package) | imports(SOURCES / package / "launch")
    return {name: file for name, file in found.items() if name != package}


def declared(package: str) -> set[str]:
    """What a package's package.xml says it needs to run."""
    root = ElementTree.parse(SOURCES / package / "package.xml").getroot()
    return {element.text or "" for tag in ("depend", "exec_depend") for element in root.findall(tag)}


def key(module: str) -> str:
    """The name under which package.xml lists a module."""
    return KEYS.get(module, module)


@pytest.mark.parametrize("package", ARROWS)
def test_a_package_imports_only_along_its_arrows(package: str) -> None:
    strays = {name: file for name, file in imported(package).items() if name in OURS - ARROWS[package]}
    assert not strays


@pytest.mark.parametrize("package", NO_TORCH)
def test_the_robot_side_runs_without_torch(package: str) -> None:
    assert "torch" not in imported(package)


def test_the_core_imports_nothing_of_ros() -> None:
    plain = set(KEYS) - {"ament_index_python"} | PIP_ONLY | OPTIONAL
    assert {name: file for name, file in imported("cosmos_policy_core").items() if name not in plain} == {}


@pytest.mark.parametrize("package", ARROWS)
def test_every_import_is_declared_in_package_xml(package: str) -> None:
    missing = {
        key(name): file
        for name, file in imported(package).items()
        if name not in PIP_ONLY | OPTIONAL and key(name) not in declared(package)
    }
    assert not missing


@pytest.mark.parametrize("package", ARROWS)
def test_every_declared_dependency_is_used(package: str) -> None:
    used = {key(name) for name in imported(package)} | WITHOUT_IMPORT.get(package, set())
    assert declared(package) - used == set()


@pytest.mark.parametrize("package", sorted(OURS))
def test_every_package_has_the_same_version_and_licence(package: str) -> None:
    root = ElementTree.parse(SOURCES / package / "package.xml").getroot()
    assert root.findtext("name") == package
    assert root.findtext("license") == "Apache-2.0"
    assert root.findtext("version") == "0.1.0"


def test_what_humble_calls_otherwise_is_imported_in_one_place() -> None:
    strays = [
        str(path.relative_to(SOURCES))
        for path in sorted(SOURCES.rglob("*.py"))
        if "rclpy.event_handler" in path.read_text() and path.name != "events.py"
    ]
    assert strays == []
