"""Every way in and out of a session: they carry frames, text and events, and decide nothing."""
