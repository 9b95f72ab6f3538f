"""Errors that a user can fix. The command line prints their message in one line and exits with code 2."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

LONGEST_NAME = 40  # characters of a name in a message
LONGEST_PATH = 1024  # characters of a path in a message: who looks for the file needs all of it
_LONGEST_WORD = 200  # characters without a space, such as a value that was typed
_LONGEST_LINE, _LINE_BEGIN, _LINE_END = 2000, 400, 1000  # what was refused stands first; the rule and the advice last
_EDGE = 40  # characters that are left on each side of a cut
_LONGEST_TEXT = 300  # characters of another library's exception in a message: torch writes pages
# characters without ink that Python calls printable: two names that differ in these alone would look like one; an emoji
# may have its variation selector
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
    "|(?<![\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u2bff\u3030-\u3299\U0001f000-\U0001faff])"
    "\ufe0f(?!\u20e3)"
)


class HarnessError(Exception):
    """A user's mistake, or an unsuitable environment. The message says what was refused, the rule, and what to do next.

    Any other exception that reaches the command line is a bug and keeps its traceback.
    """


class SettingError(HarnessError):
    """A setting is unknown, of the wrong type, or out of range."""


MOST_KNOWN = 100  # names in a message; a store may have thousands of rows


class UnknownName(HarnessError):
    """Nothing known has this name; the message suggests similar names, and names those that are known.

    Args:
        short: other spellings of what is known, which are suggested, and not listed.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], short: Iterable[str] = ()) -> None:
        known = sorted(known)
        hint = did_you_mean(map(repr, near_misses(name, sorted({*known, *short}))))
        known_text = f"known: {listed(known, MOST_KNOWN) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {f'{hint} {known_text}' if hint else known_text}")


class DataError(HarnessError):
    """A data set is missing or corrupt, or could not be downloaded."""


class StoreError(HarnessError):
    """A database cannot be opened, is another program's, has another schema, or lacks what was asked for."""


class StoreFault(StoreError):
    """A database failed while it was used: a full disk, a lock, damage. This ends the command, and fails no run."""


class DamagedDatabase(StoreFault):
    """The content of a database is not what was written to it."""


class PluginError(HarnessError):
    """A plugin broke its contract; the message names its file."""


class PluginFault(PluginError):
    """A plugin broke its contract while it was used. This ends the run that uses the plugin, and no other run."""


class ModelFault(HarnessError):
    """A model from elsewhere raised an exception, or returned no logits, in a pass after it was opened.

    Attributes:
        what: which model failed, how, and during what, without advice.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)
        self.what = what


class TrainingFailed(HarnessError):
    """A training ended without a usable network, for example because a loss was not finite."""

    def __init__(self, reason: str, epoch: int, batch: int | None) -> None:
        where = f"epoch {epoch}" + (f", batch {batch}" if batch is not None else "")
        super().__init__(f"{reason} at {where}")
        self.epoch, self.batch = epoch, batch

    @staticmethod
    def is_told_by(failure: str) -> bool:
        """Whether a run's stored failure is such an end of a training, and no fault of a plugin or of the machine."""
        return re.fullmatch(r"(the loss|a weight) is not finite( at epoch \d+(, batch \d+)?)?", failure) is not None


class WorkerLost(HarnessError):
    """The process that performed an item of work ended on the way, or was ended: its results so far are kept.

    Attributes:
        final: whether another try would end like this one.
    """

    def __init__(self, reason: str, *, final: bool = False, tries: int = 1) -> None:
        super().__init__(reason + (f"; so did {tries - 1} before it" if tries > 1 else ""))
        self.reason, self.final = reason, final

    def times(self, tries: int) -> WorkerLost:
        """The same after so many tries."""
        return WorkerLost(self.reason, final=self.final, tries=tries)


class GivenUp(HarnessError):
    """A part of the work was given up, such as an item that took longer than its time limit; the rest is kept.

    The command line ends with exit code 1: nothing was refused.
    """


class LeaseLost(HarnessError):
    """An item of work that a process held is not its own any more: it stood still for longer than its lease."""

    def __init__(self, item: str) -> None:
        super().__init__(
            f"the {item} is not this process's any more: it stood still for too long, and another may have taken the"
            " work; nothing was written, and the same command goes on"
        )
        self.item = item


class Stopped(HarnessError):
    """The user, or the system, asked the command to stop; what was done is kept."""


SAME_COMMAND = "the same command"  # which goes on with what was stopped


class TrainingStopped(Stopped):
    """A training ended early because the process was asked to stop; it can go on from its last state."""

    def __init__(self, label: str, place: str, *, saved: bool = True) -> None:
        start = "there" if saved else "the last state that was written"
        super().__init__(f"{label} was stopped {place}; {SAME_COMMAND} goes on from {start}")


# ---- texts inside a one-line message


def near_misses(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """The known names that are spelled almost like this one, the nearest first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def did_you_mean(names: Iterable[str]) -> str:
    """The question that a message asks about near misses; empty where there are none."""
    text = " or ".join(names)
    return text and f"did you mean {text}?"


def visible(text: str) -> str:
    r"""The text in one line; control and invisible characters become escapes such as ``\x1b``."""
    shown = _BLANK.sub(lambda found: _escape(found[0]), text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in shown)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def legible(name: str) -> str:
    r"""A name of a store as tables and keys show it: as ``visible`` does, and so that no two names become one.

    A name may have the four characters ``\x1b``, and another name that one character; two names may differ in Unicode's
    form alone. So a backslash is doubled, and in a name that is not in the form NFC the accents are escapes.
    """
    text = name.replace("\\", "\\\\")
    shown = visible(text)
    return shown if unicodedata.is_normalized("NFC", shown) else visible("".join(map(_apart, text)))


def _apart(character: str) -> str:
    """A character of a name that is not in the form NFC: an escape if the form would join or replace it."""
    joins = unicodedata.category(character).startswith("M") or "\u1100" <= character <= "\u11ff"  # Hangul's letters
    return _escape(character) if joins or normal(character) != character else character


def visible_lines(text: str) -> str:
    """The text with its lines; all other control and invisible characters become escapes."""
    return "\n".join(map(visible, text.split("\n")))


def quoted(text: str) -> str:
    """A name for a message: visible, in quotes, and cut if it is long."""
    shown = visible(text)
    return f"'{shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + '…'}'"


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, then how many more there are: ``a, b, c and 4 more``."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def without_middle(text: str, longest: int = LONGEST_PATH) -> str:
    """A text without its middle, if it is longer than so many characters."""
    return text if len(text) <= longest else f"{text[:_EDGE]}…{text[-_EDGE:]}"


def brief(line: str) -> str:
    """A message without the middle of a long value that it echoes: of a word, a path, or a text with spaces."""
    words = re.sub(
        rf"\S{{{_LONGEST_WORD + 1},}}",
        lambda word: without_middle(word[0], LONGEST_PATH if os.sep in word[0] else _LONGEST_WORD),
        line,
    )
    return words if len(words) <= _LONGEST_LINE else f"{words[:_LINE_BEGIN]}…{words[-_LINE_END:]}"


def class_name(names: Sequence[str], number: int) -> str:
    """A class for a message: its quoted name, or its number where the name is unknown."""
    return quoted(names[number]) if number < len(names) else str(number)


def normal(name: str) -> str:
    """A name in Unicode's form NFC, so that names that systems encode with different bytes compare equal."""
    return unicodedata.normalize("NFC", name)


def of_name(name: str, items: Iterable[Item], name_of: Callable[[Item], str]) -> list[Item]:
    """The items that a name means: as tables show it, else as it is stored, else in any of Unicode's forms.

    Raises:
        HarnessError: it means items whose names differ in Unicode's form.
    """
    items = list(items)
    found = (
        [item for item in items if legible(name_of(item)) == name]
        or [item for item in items if name_of(item) == name]
        or [item for item in items if normal(name_of(item)) == normal(name)]
    )
    names = sorted({legible(name_of(item)) for item in found})
    if len(names) > 1:
        raise HarnessError(f"{quoted(name)} has several spellings in Unicode: write one of {', '.join(names)}")
    return found


def one_line(error: BaseException) -> str:
    """An exception in one line: its type and text, or the text alone for a HarnessError."""
    if isinstance(error, HarnessError):
        return brief(" ".join(str(error).split()))
    try:
        text = visible(" ".join(str(error).split()))
    except Exception:  # another library's ``__str__`` may raise, too
        text = ""
    text = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
