"""What a user may set, what the values may be, and how they are read."""
