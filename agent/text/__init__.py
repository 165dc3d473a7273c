"""Written language, pure: what is clean, what is meant for a person. Knows no model, no voice and no wire."""
