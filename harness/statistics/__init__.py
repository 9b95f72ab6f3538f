"""Statistics of verdicts: medians and spreads, intervals, paired tests, agreement. Imports no torch."""
