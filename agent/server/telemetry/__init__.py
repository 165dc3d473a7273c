"""What a server tells whoever runs it: the log of its sessions, figures, spans; no word of a conversation."""
