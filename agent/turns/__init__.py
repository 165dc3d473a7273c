"""Who has the turn, by what was said: pure rules on words. Knows no sound, no clock and no task."""
