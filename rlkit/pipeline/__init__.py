"""Plans of stages: each stage a command that exists alone, resumable, done once."""
