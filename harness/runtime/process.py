"""What is one for the whole process, and could change a figure without a word: it is put back."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from harness.runtime.modes import Modes


@dataclass(frozen=True)
class Process:
    """The state of the process at one time.

    A filter or ``logging.disable`` could silence AutoAttack's warnings, which flags are made of.
    """

    modes: Modes
    disabled: int
    filters: list[Any]

    @classmethod
    def now(cls, *, backward: bool = False) -> Process:
        """Read it."""
        return cls(Modes.now(backward=backward), logging.root.manager.disable, [*warnings.filters])

    def put_back(self) -> Mapping[str, Any]:
        """Gives what of torch's was changed, and to what."""
        logging.root.manager.disable = self.disabled
        if warnings.filters != self.filters:
            cast(list[Any], warnings.filters)[:] = self.filters
        return self.modes.put_back()


@contextlib.contextmanager
def process_kept() -> Iterator[Mapping[str, Any]]:
    """Torch's modes, warnings' filters, and ``logging.disable`` are put back, whatever is run inside.

    Gives a mapping that has afterwards each of torch's modes that was changed, and to what.
    """
    changed: dict[str, Any] = {}
    before = Process.now()
    try:
        yield changed
    finally:
        changed.update(before.put_back())
