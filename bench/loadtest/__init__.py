"""A load test of a whole Muster: locust for the API, bots for matches, one report with plots (docs/load.md)."""
