"""The fast path: the variants and verdicts of the plain path, for less arithmetic and less memory traffic."""
