"""What the commands are made of: what a terminal shows and takes, what a conversation leaves behind, checks."""
