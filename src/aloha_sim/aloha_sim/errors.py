"""Errors a user of the simulated cell can cause, each one sentence: what, where, remedy."""


class SimError(RuntimeError):
    """The simulated cell cannot be built or driven as asked."""
