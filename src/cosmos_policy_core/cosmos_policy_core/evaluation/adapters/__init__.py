"""Simulated benchmarks, played through the same contract and planner as the robot."""
