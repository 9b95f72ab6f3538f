"""An entry of RobustBench's leaderboard: one JSON object for each model, spelled as in RobustBench's files.

RobustBench 1.1.1 keeps entries in ``model_info/DATASET/THREAT_MODEL/NAME.json``. Files written by hand spell epsilon
"8/255" or "0.031" and accuracies "91.08". RobustBench's own ``update_json`` writes epsilon as a number, and null for
an unknown value. Some files have keys that its ``ModelInfo`` lacks, such as ``external`` and ``unreliable``.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import why_no_file

KEYS = (  # in the order of RobustBench's files
    *("link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "architecture"),
    *("eps", "clean_acc", "reported", "autoattack_acc", "footnote"),
)
_ACCURACIES = ("clean_acc", "reported", "autoattack_acc", "external", "corruptions_acc", "corruptions_acc_3d")
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)(?:[eE]([-+]?\d+))?\s*(?:/\s*(\d+(?:\.\d*)?)\s*)?")
_NOT_KNOWN = ("", "null", "none", "nan", "-")  # spellings of a value that the authors do not report
_LEVELS = 255


@dataclass(frozen=True)
class Entry:
    """One entry. ``document`` keeps its spelling; the properties convert it to numbers.

    Raises:
        HarnessError: epsilon or an accuracy is not a number, or is out of range; names the key.
    """

    document: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.epsilon is not None and not math.isfinite(self.epsilon):
            raise HarnessError(f"eps={self.document['eps']!r} is refused: write 8/255 or a decimal")
        for key in _ACCURACIES:
            percent = self.number(key)
            if percent is not None and not 0 <= percent <= 100:
                value = self.document[key]
                raise HarnessError(f"{key}={value!r} is refused: accuracies are percentages, such as 91.08")

    @property
    def epsilon(self) -> float | None:
        """The radius of the ball, on the [0, 1] pixel scale; None for common corruptions."""
        return self.number("eps")

    def number(self, key: str) -> float | None:
        """A value as a number, such as the accuracy ``clean_acc`` in percent; None where the entry has none."""
        value = self.document.get(key)
        if value is None or (isinstance(value, str) and value.strip().lower() in _NOT_KNOWN):
            return None
        number = _read_number(value)
        if number is None:
            raise HarnessError(f'{key}={value!r} is refused: it must be a number, such as "8/255", "0.5", or 0.0314')
        return number

    def updated(self, values: Mapping[str, Any]) -> Entry:
        """The entry with some values replaced; other keys keep their spelling, as in RobustBench's update."""
        return Entry({**self.document, **values})


def _read_number(value: Any) -> float | None:
    if isinstance(value, (int, float)):
        with contextlib.suppress(OverflowError):  # of a whole number with hundreds of digits
            return None if isinstance(value, bool) else float(value)
        return math.inf
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    above = float(match[1] + (f"e{match[2]}" if match[2] else ""))
    below = float(match[3]) if match[3] else 1.0
    return above / below if below else None


def spell_epsilon(epsilon: float) -> str:
    """Spell epsilon as RobustBench's files do: "0.5", "8/255", or with all digits; the first that is exact."""
    decimal = f"{epsilon:.4g}"
    levels = round(epsilon * _LEVELS)
    if float(decimal) != epsilon and levels / _LEVELS == epsilon:
        return f"{levels}/{_LEVELS}"
    return decimal if float(decimal) == epsilon else repr(float(epsilon))


def spell_percent(percent: float) -> str:
    """Spell an accuracy in percent, with two decimals."""
    return f"{percent:.2f}"


def read_entry(source: str | Path) -> Entry:
    """Read an entry from its JSON text or from a file.

    Raises:
        HarnessError: the source cannot be read, is not a JSON object, or has another value where a number belongs.
    """
    name = str(source) if isinstance(source, Path) else "the entry"
    reason = why_no_file(source) if isinstance(source, Path) else None
    if reason is not None:
        raise HarnessError(f"{name} cannot be read as an entry of RobustBench: it {reason}; name its JSON file")
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{name} cannot be read as an entry of RobustBench: {error}") from None
    try:
        document = json.loads(text)
    except RecursionError:
        raise HarnessError(
            f"{name} is not JSON that can be read: its lists or objects stand in each other too deep"
        ) from None
    except ValueError as error:
        raise HarnessError(f"{name} is not JSON ({error}); an entry is one JSON object") from None
    if not isinstance(document, dict) or not document.keys() & set(KEYS):
        raise HarnessError(f"{name} is no entry of RobustBench: it must be an object with keys such as eps")
    try:
        return Entry(document)
    except HarnessError as error:
        raise HarnessError(f"{name}: {error}") from None


def write_entry(entry: Entry) -> str:
    """The entry as RobustBench writes it: indented by two spaces, keys in the entry's order, a final newline."""
    return json.dumps(dict(entry.document), indent=2) + "\n"
