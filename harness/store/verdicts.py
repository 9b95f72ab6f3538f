"""Verdicts of examples as bits, margins as half floats, predicted classes as numbers of two bytes."""

from __future__ import annotations

from collections.abc import Sequence

_CLASS, _NO_CLASS = "<u2", 65535
_MARGIN = "<f2"  # float16, little-endian on every machine: its three to four digits are enough to order examples


def pack(verdicts: bytes) -> bytes:
    """One byte an example (0 or 1) to one bit an example, most significant first, zero-padded."""
    import numpy as np  # imported late: reading a leaderboard needs counts, not verdicts

    return np.packbits(np.frombuffer(verdicts, np.uint8)).tobytes()


def unpack(packed: bytes, examples: int) -> bytes:
    """The inverse of ``pack``, given the number of examples."""
    import numpy as np

    return np.unpackbits(np.frombuffer(packed, np.uint8), count=examples).tobytes()


def pack_margins(margins: Sequence[float]) -> bytes:
    """Margins in [-1, 1] to two bytes each."""
    import numpy as np

    return np.asarray(margins, _MARGIN).tobytes()


def unpack_margins(packed: bytes) -> list[float]:
    """The inverse of ``pack_margins``, up to rounding to float16."""
    import numpy as np

    margins: list[float] = np.frombuffer(packed, _MARGIN).astype(float).tolist()
    return margins


def pack_classes(classes: Sequence[int]) -> bytes:
    """Predicted classes to two bytes each; -1 is none."""
    import numpy as np

    numbers = np.asarray(classes, np.int64)
    if (numbers < -1).any() or (numbers >= _NO_CLASS).any():
        raise ValueError(f"classes must lie in [-1, {_NO_CLASS})")
    return np.where(numbers < 0, _NO_CLASS, numbers).astype(_CLASS).tobytes()


def unpack_classes(packed: bytes) -> list[int]:
    """The inverse of ``pack_classes``."""
    import numpy as np

    numbers = np.frombuffer(packed, _CLASS).astype(np.int64)
    classes: list[int] = np.where(numbers == _NO_CLASS, -1, numbers).tolist()
    return classes
