"""Names that users give, such as those of classes, in a line of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LONGEST = 40  # characters of a name in a sentence


def visible(text: str) -> str:
    r"""The text in one line: what a terminal would obey, or not show, is written as an escape such as ``\x1b``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """A name for a sentence: visible, in quotes, and cut where it is long."""
    shown = visible(text)
    return f"'{shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + '…'}'"


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
