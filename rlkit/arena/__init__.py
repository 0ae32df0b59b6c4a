"""Curricula compared under one budget: runs in processes of their own, then a report (`rlkit compare`)."""
