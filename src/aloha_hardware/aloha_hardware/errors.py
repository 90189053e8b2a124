"""Every error this package raises on purpose. Each message says what happened, where, and what to do."""

from __future__ import annotations


class HardwareError(Exception):
    """Base of all errors a user can cause or repair; printed without a traceback."""


class SettingsError(HardwareError):
    """A parameter is missing, of another type, or outside its range."""


class PortError(HardwareError):
    """A serial port cannot be opened, or it went away."""


class BusError(HardwareError):
    """A motor did not answer, or what it answered cannot be used."""


class MotorError(HardwareError):
    """A motor is not the one the arm should have there, or it refuses what it is told."""


class MotionError(HardwareError):
    """A motion that would be unsafe is refused."""
