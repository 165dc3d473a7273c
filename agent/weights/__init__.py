"""Where weights come from, how they arrive and where they lie."""
