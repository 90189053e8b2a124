"""Which latent frame holds what: the one place that knows indices (paper section 3.2).

A sample is a fixed sequence of latent frames::

    blank | proprio | camera 1..n | action | future proprio | future camera 1..n | value

Three cameras give the 11 frames of ALOHA and RoboCasa, two give the 9 of LIBERO.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor


class Query(Enum):
    """What is asked of the one network; queries differ only in which frames are conditioned."""

    POLICY = "policy"
    """p(a, s', V(s') | s)"""
    WORLD = "world"
    """p(s', V(s') | s, a)"""
    VALUE = "value"
    """p(V(s') | s, a, s')"""
    FUTURE_VALUE = "future_value"
    """p(V(s') | s'): current state and action are left open"""
    ACTION_VALUE = "action_value"
    """Q(s, a): the future state is left open"""
    BLIND_VALUE = "blind_value"
    """Both of the masks above: only the blank frame is conditioned (a corner of the reference's flags)"""


@dataclass(frozen=True)
class LatentLayout:
    """Order of the latent frames for a number of cameras."""

    cameras: int

    def __post_init__(self) -> None:
        if self.cameras < 1:
            raise ValueError(f"LatentLayout: {self.cameras} cameras; at least one is needed.")

    @property
    def frames(self) -> int:
        """Number of latent frames T."""
        return 5 + 2 * self.cameras

    @property
    def blank(self) -> int:
        return 0

    @property
    def proprio(self) -> int:
        return 1

    @property
    def images(self) -> range:
        """Current camera images, in camera order."""
        return range(2, 2 + self.cameras)

    @property
    def action(self) -> int:
        return 2 + self.cameras

    @property
    def future_proprio(self) -> int:
        return self.action + 1

    @property
    def future_images(self) -> range:
        """Future camera images, in camera order."""
        return range(self.action + 2, self.action + 2 + self.cameras)

    @property
    def value(self) -> int:
        return self.frames - 1

    @property
    def vectors(self) -> tuple[int, ...]:
        """Frames that hold tiled numbers instead of an image."""
        return (self.proprio, self.action, self.future_proprio, self.value)

    @property
    def current_state(self) -> range:
        """Proprio and camera images of now."""
        return range(self.proprio, self.action)

    @property
    def future_state(self) -> range:
        """Proprio and camera images after the chunk."""
        return range(self.future_proprio, self.value)

    def conditioned(self, query: Query) -> tuple[int, ...]:
        """Indices of the frames that are fed clean for a query (method notes, training and inference masks agree)."""
        known = {
            Query.POLICY: range(self.action),
            Query.WORLD: range(self.action + 1),
            Query.VALUE: range(self.value),
            Query.FUTURE_VALUE: (self.blank, *self.future_state),
            Query.ACTION_VALUE: range(self.action + 1),
            Query.BLIND_VALUE: (self.blank,),
        }
        return tuple(known[query])

    def hidden(self, query: Query) -> tuple[int, ...]:
        """Indices of the frames that a value query neither sees nor is asked for; none in other queries."""
        if query not in (Query.FUTURE_VALUE, Query.ACTION_VALUE, Query.BLIND_VALUE):
            return ()
        return tuple(index for index in range(self.value) if index not in self.conditioned(query))

    def condition_mask(self, query: Query, device: torch.device | None = None) -> Tensor:
        """(T,) float32, 1 on conditioned frames."""
        mask = torch.zeros(self.frames, device=device)
        mask[list(self.conditioned(query))] = 1.0
        return mask

    def hidden_mask(self, query: Query, device: torch.device | None = None) -> Tensor:
        """(T,) float32, 1 on hidden frames."""
        mask = torch.zeros(self.frames, device=device)
        mask[list(self.hidden(query))] = 1.0
        return mask
