"""What `scripts/bench` measures: one file a benchmark, each with a `run` that returns its results."""
