"""Saved models made into one: a weighted average, or an adapter put into its base."""
