"""A figure that only an earlier attempt at a training has."""

from __future__ import annotations

from typing import NamedTuple

from harness.plugin.images import Images


class Earlier(NamedTuple):
    """A figure that an earlier attempt at a training has: an attack with its settings on a checkpoint.

    Attributes:
        run: the number of the newest attempt that has it.
    """

    run: int
    checkpoint: str
    attack: str
    settings_sha256: str
    images: Images
