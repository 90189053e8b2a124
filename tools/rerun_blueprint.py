"""Write the Rerun blueprint that ships, with the rerun-sdk package (an environment of its own: 680 MB).

    python tools/rerun_blueprint.py src/cosmos_policy/config/rerun/aloha.rbl

The topics are those of the ALOHA contracts. How a bag is opened with it: docs/tutorials/watching.md.
"""

from __future__ import annotations

import sys

import rerun.blueprint as rrb

APPLICATION = "cosmos_policy"  # a blueprint is used for recordings of the same application
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
ARMS = ("follower_left", "follower_right")
TABLES = {
    "plan_report": "plans",
    "task_success": "success",
    "emergency_stop/state": "emergency stop",
    "episode_events": "episode",
}


def blueprint() -> rrb.Blueprint:
    """Cameras above, joints as measured and as told in the middle, plans and events below."""
    images = [rrb.Spatial2DView(origin=f"/{name}/image_raw", name=name) for name in CAMERAS]
    joints = [
        rrb.TimeSeriesView(
            name=f"{arm}: measured and told",
            origin="/",
            contents=[f"+ /{arm}/joint_states/position", f"+ /{arm}/joint_commands/position"],
        )
        for arm in ARMS
    ]
    tables = [
        rrb.DataframeView(
            origin=f"/{topic}", name=name, query=rrb.archetypes.DataframeQuery(timeline="message_log_time")
        )
        for topic, name in TABLES.items()
    ]
    rows = rrb.Vertical(
        rrb.Horizontal(*images), rrb.Horizontal(*joints), rrb.Horizontal(*tables), row_shares=[3, 3, 1.2]
    )
    return rrb.Blueprint(
        rows,
        rrb.TimePanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.BlueprintPanel(state="collapsed"),
        auto_views=False,
    )


if __name__ == "__main__":
    blueprint().save(APPLICATION, sys.argv[1])
