"""Cameras without ROS: where pictures come from, and a thread that always has the newest one."""
