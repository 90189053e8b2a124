"""What is examined: a contract, what is plugged in, a checkpoint; as plain values for packages that import no core.

embodiment: name of the contract; empty where it cannot be read
hardware: name of the hardware file; empty: no robot is examined
motors: whether motors may be asked
arms: list of {name, settings (parameters of the driver), emulated}; those that others drive are left out
cameras: list of {name, settings (parameters of the camera's node)}; those that others publish are left out
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosmos_policy_core import checkpoints
from cosmos_policy_core.doctor.findings import Finding
from cosmos_policy_core.embodiment import Embodiment, Hardware
from cosmos_policy_core.errors import CheckpointError, ContractError


@dataclass
class Examination:
    """A subject in the making, and what was found wrong on the way."""

    subject: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def examine(embodiment: str, hardware: str, checkpoint: str, motors: bool) -> Examination:
    """Read contract, hardware file and checkpoint."""
    examination = Examination(
        {"embodiment": "", "hardware": hardware, "motors": motors, "arms": [], "cameras": []},
    )
    try:
        contract = Embodiment.load(embodiment)
    except ContractError as error:
        examination.findings += [_finding("contract", line) for line in str(error).splitlines()]
        return examination
    examination.subject["embodiment"] = contract.name
    rates = f"{contract.control_rate:g} Hz policy, {contract.command_rate:g} Hz commands"
    examination.findings.append(Finding("contract", "ok", f"{contract.source}: {contract.action_dim} joints, {rates}"))
    if hardware:
        _add_hardware(examination, contract, hardware)
    examination.findings += _checkpoint(contract, checkpoint)
    return examination


def _add_hardware(examination: Examination, contract: Embodiment, name: str) -> None:
    try:
        cell = Hardware.load(name)
    except ContractError as error:
        examination.findings += [_finding("hardware file", line) for line in str(error).splitlines()]
        return
    examination.findings.append(Finding("hardware file", "ok", f"{cell.source}: {cell.description or 'read'}"))
    for unknown in sorted(set(cell.cameras) - set(contract.camera_names)):
        examination.findings.append(
            Finding("hardware file", "note", f"{cell.source}: camera {unknown} is not in the contract and is not used")
        )
    for arm in contract.arms:
        if cell.arm(arm.name).external:
            text = f"another node drives it: {arm.state_topic}, {arm.command_topic}"
            examination.findings.append(Finding(f"arm {arm.name}", "note", text))
            continue
        settings = cell.arm_settings(contract, arm)
        examination.subject["arms"].append(
            {"name": arm.name, "settings": settings, "emulated": cell.arm(arm.name).emulated}
        )
    for camera in contract.cameras:
        try:
            found = cell.camera_settings(camera)
        except ContractError as error:
            examination.findings.append(_finding(f"camera {camera.name}", str(error)))
        else:
            if found is not None:
                examination.subject["cameras"].append({"name": camera.name, "settings": found})


def _checkpoint(contract: Embodiment, name: str) -> Iterator[Finding]:
    if not name:
        yield Finding(
            "checkpoint", "note", "none was given", "Give --checkpoint to have one compared with the contract"
        )
        return
    if checkpoints.hub.is_id(name) and not Path(name).is_dir():
        yield Finding("checkpoint", "note", f"{name} is on the Hugging Face hub", "Give its local folder to compare it")
        return
    try:
        folder = checkpoints.find(name)
    except CheckpointError as error:
        yield _finding("checkpoint", str(error))
        return
    own = Path(folder, "embodiment.yaml")
    if not own.exists():
        yield Finding("checkpoint", "note", f"{folder}: carries no contract to compare with")
        return
    different = Embodiment.load(own).differences(contract)
    if different:
        text = f"{name} was made for another robot: {'; '.join(different)}"
        yield Finding(
            "checkpoint", "error", text, "Choose a checkpoint of this contract, or the contract it was made for"
        )
    else:
        yield Finding("checkpoint", "ok", f"{name} fits the contract")


def _finding(area: str, text: str) -> Finding:
    """Split one of our sentences into what is wrong and what to do."""
    problem, _, remedy = text.partition(". ")
    return Finding(area, "error", problem.rstrip("."), remedy)
