"""Every error this package raises on purpose. Each message says what happened, where, and what to do."""

from __future__ import annotations


class CosmosPolicyError(Exception):
    """Base of all errors a user can cause or repair; commands print it without a traceback."""


class ContractError(CosmosPolicyError):
    """An embodiment contract that cannot be used, or that does not match its counterpart."""


class EpisodeError(CosmosPolicyError):
    """A recorded episode that is damaged, incomplete, or made under another contract."""


class RecordingError(CosmosPolicyError):
    """A recording that cannot be begun, written or finished."""


class DatasetError(CosmosPolicyError):
    """A set of episodes that cannot be trained on."""


class StatisticsError(DatasetError):
    """Normalisation statistics that are missing, malformed or degenerate."""


class CheckpointError(CosmosPolicyError):
    """A checkpoint that is missing, corrupt, foreign or made for another contract."""


class ConfigurationError(CosmosPolicyError):
    """Options that contradict each other or lie outside their range."""


class ObservationError(CosmosPolicyError):
    """An observation that does not fit the contract: cameras, joints or numbers."""


class InstructionError(CosmosPolicyError):
    """An instruction for which no text embedding is known."""


class ModelError(CosmosPolicyError):
    """A network that failed or returned numbers that are not finite."""


class SamplingStopped(CosmosPolicyError):
    """Sampling that was abandoned between two denoising steps because its caller asked for it."""


class PlanCancelled(CosmosPolicyError):
    """A plan that was cancelled before it was made; no chunk may be executed."""


class SimulatorError(CosmosPolicyError):
    """A simulated cell that is missing or does not do what its contract says."""


class DescriptionError(CosmosPolicyError):
    """A robot description (URDF) that cannot be read, or has no such link."""
