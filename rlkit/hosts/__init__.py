"""Hosts turn chosen prompts into graded groups: the TRL trainer, and a simulated policy."""
