"""The leaderboard: it ranks figures that are comparable; one renderer for each format. Imports no torch."""
