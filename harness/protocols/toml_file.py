"""Reading a user's TOML file: what is wrong with it is said in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from harness.errors import SettingError
from harness.files import why_no_file


def read_toml(file: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        what: what to call the file in a message, such as ``the configuration /home/me/harness.toml``.
    Raises:
        SettingError: there is no such file, it cannot be read, or it is not TOML in UTF-8.
    """
    reason = why_no_file(file)
    if reason is not None:
        raise SettingError(f"{what} cannot be read: {file} {reason}; give a TOML file")
    try:
        return parse_toml(file.read_bytes(), what)
    except OSError as error:
        raise SettingError(f"{what} cannot be read: {error.strerror or error}; make it readable") from None


def parse_toml(content: bytes, what: str) -> dict[str, Any]:
    """The content of a TOML file, from its bytes; ``read_toml`` says what is refused."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise SettingError(f"{what} is not a text in UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise SettingError(f"{what} is not valid TOML: its lists or tables stand in each other too deep") from None
    except ValueError as error:  # also of a number of thousands of digits, which Python does not convert
        raise SettingError(f"{what} is not valid TOML: {' '.join(str(error).split())}") from None
