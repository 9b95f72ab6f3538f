"""The evaluation attacks, one a file. A new file here is a new attack."""
