"""What a run leaves behind: its account, its checkpoints, and the warnings about it."""
