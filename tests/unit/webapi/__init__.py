"""Pure parts of webapi."""
