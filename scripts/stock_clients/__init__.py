"""Clients that others wrote, as judges: each in an environment of its own, against our server."""
