"""What people see of a running graph: its plans, its state in words, and what the model imagines."""
