"""A policy with known success probabilities as a host, on NumPy alone."""
