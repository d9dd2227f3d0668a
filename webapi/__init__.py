"""Stateless REST API, status streams and the operator page."""
