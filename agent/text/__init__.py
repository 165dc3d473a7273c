"""Written language, pure: what is clean, what is meant for a person, how it is said. Knows no engine."""
