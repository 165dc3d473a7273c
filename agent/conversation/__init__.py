"""One conversation: frames to what was heard of each reply. Knows no registry, wire, device or screen."""
