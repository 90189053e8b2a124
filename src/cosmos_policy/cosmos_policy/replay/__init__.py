"""Playing recorded actions back on the robot."""
