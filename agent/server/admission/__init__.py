"""Who may talk to the server, from where, how much and how often."""
