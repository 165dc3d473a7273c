"""Language models: one file an engine, and what they share. `agent.protocols` says what one must offer."""
