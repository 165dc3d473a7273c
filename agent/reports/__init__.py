"""What is told of a session afterwards, from its events: waits, a picture, the log."""
