"""Topics the monitor publishes."""

PLAN = "/monitor/plan"  # MarkerArray: the chosen path of each gripper, thick where it is executed
CANDIDATES = "/monitor/candidates"  # MarkerArray: the paths of all candidates, coloured by value
STATUS = "/monitor/status"  # MarkerArray: the state in words, and the emergency stop
IMAGINED = "/monitor/imagined"  # Image: what the cameras saw above what the model imagined
