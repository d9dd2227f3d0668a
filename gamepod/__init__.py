"""What runs beside or inside a game server: sidecar, built-in arena, write-behind to Redis."""
