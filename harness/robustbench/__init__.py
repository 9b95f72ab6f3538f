"""Entries of RobustBench's leaderboard: reads and writes them, and makes them from runs."""
