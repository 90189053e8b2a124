"""Leaders that move followers: what is commanded when, without ROS, and where simulated leaders go."""
