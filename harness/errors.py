"""Errors that a user can mend: the command line prints one line for each and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A user's mistake, or a surrounding that does not fit: what was refused, the rule, what to do next.

    Anything else that escapes is a bug and keeps its traceback.
    """


class SettingError(HarnessError):
    """A setting that is unknown, of the wrong type, or out of range."""


class UnknownName(HarnessError):
    """A name that no registered thing has; carries near misses in its message."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
        super().__init__(f"unknown {kind} {name!r}{hint} known: {', '.join(known) or 'none'}")


class DataError(HarnessError):
    """A data set that is missing, corrupt, or that could not be fetched."""


class StoreError(HarnessError):
    """A database that cannot be opened, is not ours, or is of another schema."""


class PluginError(HarnessError):
    """A plugin that broke its contract; the message names its file."""


class PluginFault(PluginError):
    """A plugin that broke its contract while it was used: it ends the run that it belongs to, and no other."""


class ModelFault(HarnessError):
    """What a model from elsewhere did in a pass after it was opened: it raised, or returned no logits."""


class TrainingFailed(HarnessError):
    """A training that ended without a usable network, such as by a loss that is not finite."""

    def __init__(self, reason: str, epoch: int, batch: int | None) -> None:
        where = f"epoch {epoch}" + (f", batch {batch}" if batch is not None else "")
        super().__init__(f"{reason} at {where}")
        self.reason = reason
        self.epoch = epoch
        self.batch = batch

    def __reduce__(self) -> tuple[type[TrainingFailed], tuple[str, int, int | None]]:
        return type(self), (self.reason, self.epoch, self.batch)  # crosses process borders
