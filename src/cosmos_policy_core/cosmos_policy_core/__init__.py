"""The Cosmos Policy method without ROS: contract, data, model, planning, training and evaluation.

Importing this package loads nothing heavy; import the module you need.
"""

__version__ = "0.1.0"
