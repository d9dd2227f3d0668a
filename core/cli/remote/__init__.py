"""Commands that speak to a running Muster over REST, for developers and admins (docs/cli.md)."""
