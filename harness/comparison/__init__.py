"""Two rows of a board side by side: matched, tested, and told as text or JSON. Imports no torch."""
