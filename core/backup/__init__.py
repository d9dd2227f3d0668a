"""Backups of all that Muster keeps: taken, kept for a while, and put back (docs/backup.md)."""
