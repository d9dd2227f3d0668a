"""Delayed commands, from the Redis functions to whole workers."""
