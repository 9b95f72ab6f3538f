"""The C library's memory allocator: freed memory is kept for the next tensor."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_LARGEST = 32 * 1024 * 1024  # glibc accepts no larger threshold for a block of its own


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep the memory of freed tensors, so that the next tensor does not wait for new pages.

    By default glibc gives large blocks back to the system at once, and gets them again, page by page and filled with
    zeros, for the next tensor of the same size. On a CPU that takes up to half of the time of a pass. Peak memory stays
    the same. Nothing is done where there is no glibc, or where the user has set one of its own variables.

    Returns: whether it is done.
    """
    if any(name.startswith("MALLOC_") and name.endswith("_THRESHOLD_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
