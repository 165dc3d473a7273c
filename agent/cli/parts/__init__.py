"""What the commands are made of: what a terminal shows and takes, what is left of a conversation."""
