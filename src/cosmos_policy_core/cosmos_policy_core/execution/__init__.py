"""Executing action chunks in time: up-sampling, limits, refusals and the state machine. No ROS, no clock."""

from cosmos_policy_core.execution.arms import ActionSpace, ArmChannel
from cosmos_policy_core.execution.checks import Chunk, Refusal, check_chunk
from cosmos_policy_core.execution.executor import Activity, ChunkExecutor
from cosmos_policy_core.execution.handover import Bounds, plan_chunk
from cosmos_policy_core.execution.modes import Mode
from cosmos_policy_core.execution.run import Run
from cosmos_policy_core.execution.settings import ExecutorSettings
from cosmos_policy_core.execution.states import JointStates
from cosmos_policy_core.execution.termination import Termination
from cosmos_policy_core.execution.timing import PeriodStatistics, Samples
from cosmos_policy_core.execution.trajectory import Motion, Spline, brake

__all__ = [
    "ActionSpace",
    "Activity",
    "ArmChannel",
    "Bounds",
    "Chunk",
    "ChunkExecutor",
    "ExecutorSettings",
    "JointStates",
    "Mode",
    "Motion",
    "PeriodStatistics",
    "Refusal",
    "Run",
    "Samples",
    "Spline",
    "Termination",
    "brake",
    "check_chunk",
    "plan_chunk",
]
