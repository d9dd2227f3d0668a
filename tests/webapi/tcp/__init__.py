"""The arena and its transports."""
