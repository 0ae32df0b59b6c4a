"""Reward functions with TRL's signature, one idea a file: copy one to write your own."""
