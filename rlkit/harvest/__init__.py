"""What a run's completions are worth to other stages: rows for SFT, and pairs for preference training."""
