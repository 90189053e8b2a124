"""`make demo`: bring the graph up, have it transfer a cube, and leave evidence of what happened."""
