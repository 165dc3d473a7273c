"""The session on a telephone call."""
