"""Launchers: how the server of a match is started, seen and ended. One interface, `matchmaker.launch.base`."""
