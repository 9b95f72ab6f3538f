"""What may be said of counts: figures and spreads, intervals, paired tests, agreement. Imports no torch."""
