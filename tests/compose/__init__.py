"""compose.yaml: what Docker Compose makes of it, and the whole of it running."""
