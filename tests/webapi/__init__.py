"""webapi in this process, against a real Valkey."""
