"""Break a running graph in every way a robot does, and measure what happens: real processes on emulated motors.

`ros2 run cosmos_policy faults` (or `python -m cosmos_policy.faults.main`) writes the table of docs/safety.md; the
tests run the same cases.
"""
