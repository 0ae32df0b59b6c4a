"""The prompts that a run may choose from: the pool, its rows, and the files they come from."""
