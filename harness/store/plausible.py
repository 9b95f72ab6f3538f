"""Whether stored values can be what harness stored: folders, dates, hashes, images.

Each function takes plain values, and returns what is wrong in words, or None.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime, timedelta

from harness.errors import quoted

FIRST_DATE = datetime(2020, 1, 1)
DAY = timedelta(days=1)  # by which the clocks of two machines may differ
_SHA256 = re.compile(r"[0-9a-f]{64}")


def folder_fault(folder: str, identity: str) -> str | None:
    """What is wrong with the folder of a run: it is no single component, or is not the run's own."""
    if folder in ("", ".", "..") or any(char in folder for char in "/\\\0"):
        return f"its folder {quoted(folder)} is not one folder below --runs-dir"
    if not re.fullmatch(rf".+-{re.escape(identity[:8])}(-\d+)*", folder):
        return f"its folder {quoted(folder)} is not named after it"
    return None


def dates_fault(created: datetime, finished: datetime | None = None) -> str | None:
    """What is wrong with dates in UTC: before harness was there, in the future, or an end before the beginning."""
    for date in filter(None, (created, finished)):
        if not FIRST_DATE <= date <= datetime.now(UTC).replace(tzinfo=None) + DAY:
            return f"its date {date:%Y-%m-%d %H:%M} cannot be"
    if finished is not None and finished < created - DAY:
        return f"it ended on {finished:%Y-%m-%d %H:%M}, before it began"
    return None


def hash_fault(sha256: str) -> str | None:
    """What is wrong with a hash by itself."""
    return None if _SHA256.fullmatch(sha256) else f"{quoted(sha256)} is no SHA-256"


def image_fault(pixels: bytes, place: int, examples: int, size: int) -> str | None:
    """What is wrong with an adversarial image.

    Args:
        pixels: packed by zlib; never more than an image of this size is unpacked.
        place: among the evaluation's images.
        size: of the unpacked image, in bytes.
    """
    if place >= examples:
        return f"image {place} is beyond its {examples} images"
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(pixels, size + 1)
    except zlib.error:
        return f"image {place} cannot be unpacked"
    whole = len(unpacked) == size and unpacking.eof and not unpacking.unused_data
    return None if whole else f"image {place} is not one image of {size} bytes"
