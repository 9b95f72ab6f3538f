"""Save and restore state of the whole process that could change a figure unnoticed."""

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
    """Torch's modes, ``logging.disable``, and the filters of ``warnings`` at one time.

    A filter or ``logging.disable`` could silence AutoAttack's warnings, from which the checks of rigour raise flags.
    """

    modes: Modes
    disabled: int
    filters: list[Any]

    @classmethod
    def now(cls, *, backward: bool = False) -> Process:
        """Read the state."""
        return cls(Modes.now(backward=backward), logging.root.manager.disable, [*warnings.filters])

    def put_back(self) -> Mapping[str, Any]:
        """Restore the state; returns each torch mode that had changed -> the value it had been changed to."""
        logging.root.manager.disable = self.disabled
        if warnings.filters != self.filters:
            cast(list[Any], warnings.filters)[:] = self.filters
        return self.modes.put_back()


@contextlib.contextmanager
def process_kept() -> Iterator[Mapping[str, Any]]:
    """Restore torch's modes, the filters of ``warnings``, and ``logging.disable`` after the body.

    Yields a mapping that is filled afterwards: each torch mode that the body changed -> the value it was changed to.
    """
    changed: dict[str, Any] = {}
    before = Process.now()
    try:
        yield changed
    finally:
        changed.update(before.put_back())
