"""The HTTP interface: text, sound, a question as a file; one file a kind of request."""
