"""Benchmarks of the running graph, behind `cosmos-policy bench`."""
