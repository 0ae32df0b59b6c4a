"""From what a run leaves on disk to numbers and pictures."""
