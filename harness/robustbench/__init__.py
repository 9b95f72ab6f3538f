"""RobustBench's leaderboard entries: read, written, and made of runs."""
