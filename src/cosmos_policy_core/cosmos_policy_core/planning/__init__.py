"""Planning on top of a policy: value ensembles, and the choice among candidates."""
