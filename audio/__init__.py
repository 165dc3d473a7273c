"""Samples: capture, detection, synthesis, playback. Knows nothing of turns or conversation."""
