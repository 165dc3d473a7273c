"""Vision engines: from pictures to words, one file an engine. `agent.protocols` says what one must offer."""
