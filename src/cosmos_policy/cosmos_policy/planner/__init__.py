"""The planner, apart from its node: one goal from the first observation to the reason it ended."""
