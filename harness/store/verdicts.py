"""Verdicts of examples as bits."""

from __future__ import annotations


def pack(verdicts: bytes) -> bytes:
    """One byte an example (0 or 1) to one bit an example, most significant first, zero-padded."""
    import numpy as np  # here: reading a leaderboard needs counts, not verdicts

    return np.packbits(np.frombuffer(verdicts, np.uint8)).tobytes()


def unpack(packed: bytes, examples: int) -> bytes:
    """The inverse of ``pack``, given the number of examples."""
    import numpy as np

    return np.unpackbits(np.frombuffer(packed, np.uint8), count=examples).tobytes()
