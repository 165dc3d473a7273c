"""Which engines there are, how they are loaded, and whether they can be used here."""
