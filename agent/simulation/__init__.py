"""Conversations without a sound card: scripted users, scenarios and their checks, comparison."""
