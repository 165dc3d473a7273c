"""What the agent can do: tools, how they are declared, found and run. Knows no conversation and no model."""
