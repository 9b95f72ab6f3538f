"""The long part of the crash tests: ``make soak`` runs it for twenty minutes, and prints the table."""
