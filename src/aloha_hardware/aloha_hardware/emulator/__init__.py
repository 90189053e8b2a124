"""A DYNAMIXEL chain on a pseudo-terminal: everything above the wire is the real code path."""
