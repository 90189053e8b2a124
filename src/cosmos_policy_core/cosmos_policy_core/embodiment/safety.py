"""Limits in time and distance that executor, drivers and planner enforce."""

from __future__ import annotations

from pydantic import Field

from cosmos_policy_core.embodiment.base import Contract


class Safety(Contract):
    """When motion is refused or stopped."""

    start_distance: float = Field(gt=0, description="largest distance of a first action from the arms [rad]")
    command_timeout: float = Field(gt=0, description="silence after which an arm driver holds [s]")
    image_age_periods: float = Field(gt=0, description="oldest image to plan on [control periods]")
    state_silence_periods: float = Field(
        gt=0, description="missing joint states after which the executor holds [periods of state_rate]"
    )
