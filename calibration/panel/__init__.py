"""Continuous-time multi-state models of panel data: people seen at irregular times, when they moved unknown."""
