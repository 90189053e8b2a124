"""What every node of the suite stands on: lifecycle, parameters, process, emergency stop, polling, real time."""
