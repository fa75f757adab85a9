"""The tunnel protocol, sans I/O: frames, stream states, the multiplexer, control messages."""
