"""What is told of a location: one function decides, for every message, record, and page.

An address may have a password anywhere, above all if it is written wrongly. So only what surely is no secret is shown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

HIDDEN = "***"
_DATABASES = "postgres|postgresql|mysql|mariadb|mssql|oracle|cockroachdb|redshift|snowflake|mongodb|db2|jdbc|sqlite"
_BROKEN = re.compile(
    rf"\s*(?:(?:{_DATABASES})(?:\+\w*)?\s*(?::|//)|[^/\\]*:.*@|[\w+-]+//.*@)", re.IGNORECASE | re.DOTALL
)
_ADDRESS = re.compile(r"\s*([A-Za-z][\w+.-]*):(/*)(.*)", re.DOTALL)
_HOST = re.compile(r"([\w.-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]{1,5})?", re.ASCII)
_PATH = re.compile(r"(?:/[\w.+ -]*)*")
_KEY = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
# From the first letter of a word. Only a word's beginning is tried: from every letter, a long word would take minutes.
_IN_A_TEXT = re.compile(r"(?<![\w+.-])((?:(?![A-Za-z])[\w+.-])*+)([A-Za-z][\w+.-]*+:/+\S*)")
_CLOSING = "'\"`.,;:)]}>"
_SECRET_VARIABLE = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|CREDENTIAL", re.IGNORECASE)
_LEAST = 6  # characters of a variable's value that is a secret; a shorter one is a switch


def is_broken_address(text: str) -> bool:
    """Whether a text that has no ``://`` was surely meant as an address, as ``postgres:/me:pw@host`` was."""
    return "://" not in text and _BROKEN.match(text) is not None


def shown_location(text: str) -> str:
    """A location for a message: a path as it is; of an address the scheme, the host, the path, and a query's keys.

    A user's name is left out, too: it may be a token. If it cannot be told what is secret, the scheme alone is left.
    """
    if "://" not in text and not is_broken_address(text):
        return text
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return HIDDEN
    scheme, slashes, rest = match.groups()
    if scheme.lower().startswith("sqlite") and slashes.startswith("///"):
        path, question, query = rest.partition("?")
        return f"{scheme}:{slashes}{path}{_shown_query(question, query)}"
    secret, at, place = rest.rpartition("@")
    place, mark, query = _split(place)
    host, slash, path = place.partition("/")
    known = _HOST.fullmatch(host)
    web = scheme.lower() in ("http", "https")
    perhaps = known is not None and known[2] and not at and not slash and not web  # a password, as in name:4711
    if known is None or perhaps or re.search(r"[?#;&=\s]", secret):
        return f"{scheme}://{HIDDEN}"
    shown_path = slash + path if _PATH.fullmatch(slash + path) else f"/{HIDDEN}"
    return f"{scheme}://{secret and HIDDEN}{at}{host}{shown_path}{_shown_query(mark, query)}"


def _split(place: str) -> tuple[str, str, str]:
    """What stands before a query, the mark that begins it, and the query."""
    match = re.search(r"[?#;&]", place)
    return (place, "", "") if match is None else (place[: match.start()], match[0], place[match.end() :])


def _shown_query(mark: str, query: str) -> str:
    parts = re.split("[&;]", query) if query else []
    shown = [key if _KEY.fullmatch(key) else HIDDEN for key in (part.partition("=")[0] for part in parts)]
    whole = [f"{key}={HIDDEN}" if "=" in part else HIDDEN for key, part in zip(shown, parts, strict=True)]
    return f"?{'&'.join(whole)}" if mark == "?" else mark and f"{mark}{HIDDEN}"


def without_secrets_in(text: str) -> str:
    """A text of any kind without what its addresses hide, and without the tokens that variables hold."""

    def shown(match: re.Match[str]) -> str:
        before, found = match.groups()
        address = found.rstrip(_CLOSING)
        return before + shown_location(address) + found[len(address) :]

    for name, value in os.environ.items():
        if len(value) >= _LEAST and _SECRET_VARIABLE.search(name) and not Path(value).exists():
            text = text.replace(value, HIDDEN)
    return _IN_A_TEXT.sub(shown, text)


def told_by(message: str, location: str) -> str | None:
    """A driver's message about a location, in one line; None if it may have a part of what is hidden."""
    hidden, shown = unquote(location), shown_location(location)
    parts = {part for part in re.split(r"[\s:/@?&=#;]+", f"{location} {hidden}") if part and part not in shown}
    return None if any(len(part) < 3 or part in message for part in parts) else " ".join(message.split())
