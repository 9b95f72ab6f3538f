"""Canonical JSON and its SHA-256: how settings, runs, and protocols are named."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(document: Any) -> str:
    """One text for one meaning: sorted keys, no white space, floats by their shortest exact form."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(document: Any) -> str:
    """The SHA-256 of the canonical JSON of a document, in hexadecimal."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
