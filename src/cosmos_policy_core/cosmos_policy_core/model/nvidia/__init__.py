"""NVIDIA's released files: the only place that knows their names, formats and habits.

files.py finds them, reading.py reads them without running what is inside, report.py compares names and shapes,
importing.py turns them into this package's folder or into a policy in memory.
"""
