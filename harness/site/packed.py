"""Documents in forms that a page opens without a request: JSON in a script tag, or compressed in a script file."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import legible, visible_lines


def finite(value: Any) -> Any:
    """The document with null in place of each number that JSON lacks: infinity, NaN."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replaced(value: Any) -> Any:
    """The document as a page shows it: what acts or hides in a text is an escape, and no two keys become one."""
    if isinstance(value, dict):
        return {legible(str(key)): replaced(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(item) for item in value]
    return visible_lines(value) if isinstance(value, str) else value


def compact(document: Any) -> str:
    """JSON without white space, in ASCII."""
    return json.dumps(finite(document), separators=(",", ":"), allow_nan=False)


def page_json(document: Any) -> str:
    """The JSON of a document as a page shows it."""
    return compact(replaced(document))


def joined_texts(parts: Mapping[str, Iterable[str]]) -> str:
    """What ``page_json`` makes of a document of lists, from the texts of their members."""
    return "{" + ",".join(f"{compact(name)}:[{','.join(texts)}]" for name, texts in parts.items()) + "}"


def packed_script(name: str, document: str) -> bytes:
    """A script that hands a compressed document, given as JSON, to ``harness.unpack``.

    The alphabet of ``base64.b85encode`` has no quote, no backslash, and no slash, so nothing in the document can end
    the string or the script.
    """
    packed = base64.b85encode(gzip.compress(document.encode(), 9, mtime=0)).decode()
    return f'harness.packed["{name}"]="{packed}";\n'.encode()
