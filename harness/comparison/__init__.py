"""Two rows of a board side by side: matched, tested, and shown as text or JSON. Imports no torch."""
