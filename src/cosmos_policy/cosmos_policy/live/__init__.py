"""The live view: a running graph in a browser, on the viser library."""
