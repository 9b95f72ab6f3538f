"""Ranking of what is comparable, and one renderer a format. Imports no torch."""
