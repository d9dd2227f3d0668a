"""One file per promise; each prints a JSON line per figure. See `docs/benchmarks.md`."""
