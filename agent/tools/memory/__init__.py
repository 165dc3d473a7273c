"""What the user wants remembered: one readable file of theirs, found by words or by meaning."""
