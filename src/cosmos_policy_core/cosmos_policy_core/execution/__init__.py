"""Executing action chunks in time: up-sampling, limits, refusals and the state machine. No ROS, no clock."""

from cosmos_policy_core.execution.arms import ActionSpace, ArmChannel
from cosmos_policy_core.execution.checks import Chunk, Refusal, check_chunk
from cosmos_policy_core.execution.executor import ChunkExecutor, Mode, Run
from cosmos_policy_core.execution.settings import ExecutorSettings
from cosmos_policy_core.execution.states import JointStates
from cosmos_policy_core.execution.termination import Termination
from cosmos_policy_core.execution.timing import PeriodStatistics
from cosmos_policy_core.execution.trajectory import Spline, brake, plan_chunk

__all__ = [
    "ActionSpace",
    "ArmChannel",
    "Chunk",
    "ChunkExecutor",
    "ExecutorSettings",
    "JointStates",
    "Mode",
    "PeriodStatistics",
    "Refusal",
    "Run",
    "Spline",
    "Termination",
    "brake",
    "check_chunk",
    "plan_chunk",
]
