"""JSON documents on a server. PostgreSQL refuses NaN and infinity in JSON, which Python writes, and SQLite keeps.

There each of them is a number that is too large for a float, so a document comes back as it was.
"""

from __future__ import annotations

import json
import re
from typing import Any

_WRITTEN = {"NaN": "1e999999", "Infinity": "1e9999", "-Infinity": "-1e9999"}
_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def server_text(document: Any) -> str:
    """A document as text that PostgreSQL takes."""
    try:
        return json.dumps(document, allow_nan=False)
    except ValueError:
        return _WORDS.sub(lambda word: _WRITTEN.get(word[0], word[0]), json.dumps(document))


def server_value(text: str | bytes) -> Any:
    """The inverse of ``server_text``."""
    return json.loads(text, parse_float=_number)


def _number(text: str) -> float:
    return float("nan") if text == _WRITTEN["NaN"] else float(text)
