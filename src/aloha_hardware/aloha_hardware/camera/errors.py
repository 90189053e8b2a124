"""What can go wrong with a camera, each one sentence: what, where, remedy."""

from __future__ import annotations

from aloha_hardware.errors import HardwareError


class CameraError(HardwareError):
    """A camera is not there, or it cannot give the pictures that are asked for."""


class CameraLostError(CameraError):
    """A camera that was open gives no more pictures; it may come back."""


class RecordingEndedError(CameraError):
    """A recording has been played to its end."""
