"""The vocabulary every Muster service shares. Imports no service."""
