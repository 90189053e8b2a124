"""Episodes as rosbag2 recordings: written, read, resampled and recovered without ROS."""
