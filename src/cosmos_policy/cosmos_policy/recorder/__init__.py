"""The parts of the episode recorder: what is recorded, how it reaches the disk, and what starts and ends an episode."""
