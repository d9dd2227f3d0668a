"""What webapi reads from and writes to Redis, a file per noun. Nothing here knows HTTP."""
