"""Samplers: they know a log density over the unconstrained scale, and nothing of what it describes."""
