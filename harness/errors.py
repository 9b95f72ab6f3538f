"""Errors that a user can mend, and the words of their one line: the command line prints it and exits with code 2."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST_NAME = 40  # characters of a name in a sentence
_LONGEST_TEXT = 300  # characters of a stranger's exception: torch writes pages


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
        hint = did_you_mean(map(repr, near_misses(name, known)))
        known_text = f"known: {', '.join(known) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {f'{hint} {known_text}' if hint else known_text}")


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


# ---- the words of a line


def near_misses(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """The known names that are spelled almost like this one, the nearest first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def did_you_mean(names: Iterable[str]) -> str:
    """The question that a message asks about near misses; empty where there are none."""
    text = " or ".join(names)
    return text and f"did you mean {text}?"


def visible(text: str) -> str:
    r"""The text in one line: what a terminal would obey, or not show, is written as an escape such as ``\x1b``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """A name for a sentence: visible, in quotes, and cut where it is long."""
    shown = visible(text)
    return f"'{shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + '…'}'"


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few names of a sentence, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def class_name(names: Sequence[str], number: int) -> str:
    """A class for a sentence: its quoted name, or its number where its name is not known."""
    return quoted(names[number]) if number < len(names) else str(number)


def normal(name: str) -> str:
    """A name in Unicode's form NFC: one that is spelled by other bytes on another system is the same name."""
    return unicodedata.normalize("NFC", name)


def one_line(error: BaseException) -> str:
    """A stranger's exception in one line: its type and its text; one of ours says all in its text."""
    if isinstance(error, HarnessError):
        return " ".join(str(error).split())
    try:
        text = visible(" ".join(str(error).split()))
    except Exception:  # a stranger's class may break there, too
        text = ""
    text = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
