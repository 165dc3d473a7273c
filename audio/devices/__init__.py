"""Microphone and speaker: sound devices as frames and samples."""
