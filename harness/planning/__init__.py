"""From what a command asks for to what is missing: requests, resolved, compared with the store, and costed."""
