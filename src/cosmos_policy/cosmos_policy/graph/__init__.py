"""The one description of the graphs: which nodes run, under which names, with which parameters.

`ros2 launch` and the launcher for machines without the launch package both start what a :class:`Graph` describes. A
new node is a part (a function from the chosen arguments to its NodeSpec) in the list of the graphs it belongs to.
"""

from cosmos_policy.graph import policy, recording, robot, teleop, views
from cosmos_policy.graph.description import Argument, Graph, NodeSpec

BRINGUP = Graph(
    "aloha_bringup",
    "The robot, the policy, the planner and the chunk executor: everything /run_task needs.",
    (*robot.ARGUMENTS, *policy.ARGUMENTS, *recording.TASKS, *views.ARGUMENTS),
    (robot.stop, robot.robot, policy.policies, policy.planner, policy.executor, recording.task_recorder, views.views),
)
TELEOP = Graph(
    "aloha_teleop",
    "The robot and the leaders that move it by hand.",
    (*robot.ARGUMENTS, *teleop.ARGUMENTS, *views.ARGUMENTS),
    (robot.stop, robot.robot, teleop.teleop, views.views),
)
RECORD = Graph(
    "aloha_record",
    "Teleoperation with a recorder: one bag per episode.",
    (*robot.ARGUMENTS, *teleop.ARGUMENTS, *recording.RECORD, *views.ARGUMENTS),
    (robot.stop, robot.robot, teleop.teleop, recording.recorder, views.views),
)
REPLAY = Graph(
    "aloha_replay",
    "The robot and a recorded episode, played back on it through the chunk executor.",
    (*robot.ARGUMENTS, *recording.REPLAY, *views.ARGUMENTS),
    (robot.stop, robot.robot, policy.executor, recording.replayer, views.views),
)

GRAPHS = {graph.name: graph for graph in (BRINGUP, TELEOP, RECORD, REPLAY)}

__all__ = ["BRINGUP", "GRAPHS", "Argument", "Graph", "NodeSpec"]
