"""Written language, pure: what is clean, what is meant for a user, how it is said. Knows no engine."""
