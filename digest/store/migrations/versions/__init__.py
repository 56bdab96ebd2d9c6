"""One file a step, each run in a transaction."""
