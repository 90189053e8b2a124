"""The error a user of any node can cause. Its message says what happened, where, and what to do."""

from __future__ import annotations


class ParameterError(Exception):
    """A node parameter that is missing, of another type, or outside its range; told without a traceback."""
