"""The OpenAI Realtime protocol: its connection, the client's events, the server's, a session's settings."""
