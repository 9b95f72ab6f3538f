"""The evaluation attacks, one in each file. A new file here adds an attack."""
