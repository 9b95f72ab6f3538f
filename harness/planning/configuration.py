"""Finds and reads a project's configuration: ``harness.toml``, or ``[tool.harness]`` in ``pyproject.toml``.

It is looked for in the working directory and in the folders above it; the first folder that has one counts. The
variable ``HARNESS_CONFIG`` names another file, or none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SettingError
from harness.files import expanded
from harness.protocols.toml_file import parse_toml, read_toml

VARIABLE = "HARNESS_CONFIG"
FILE, PROJECT_FILE = "harness.toml", "pyproject.toml"
NO_FILE = ("", "none")
_IMAGES = ("folder:", "npz:")  # data sets whose images are at a path
ORDERS = ("auto", "names", "numbers")  # of classes; anything else is a list, or a file


@dataclass(frozen=True)
class Configuration:
    """What a project's configuration says.

    Attributes:
        file: where it stands; None if there is none.
        content: as written: places, and a table for each command.
        named: whether the user named the file by the variable.
        note: a remark for the user, one line.
    """

    file: Path | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    named: bool = False
    note: str | None = None

    @property
    def name(self) -> str:
        """The file for a message: its name if it is in the working directory, else its path."""
        return "" if self.file is None else file_shown(self.file)

    def beside(self, text: str) -> str:
        """A path that the configuration says: relative to the folder of its file."""
        assert self.file is not None
        return path_beside(text, self.file.parent)


def file_shown(file: Path) -> str:
    """A file for a message: its name if it is in the working directory, else its path."""
    return file.name if file.parent in _folders()[:1] else str(file)


def path_beside(text: str, folder: Path) -> str:
    """A path that a file in this folder says."""
    return os.path.normpath(folder / expanded(text))


def dataset_beside(text: str, folder: Path) -> str:
    """A data set that a file in this folder says: the path of a folder of images, or of a .npz file, begins there."""
    kind, colon, path = text.partition(":")
    return f"{kind}:{path_beside(path, folder)}" if f"{kind}{colon}" in _IMAGES and path else text


def class_order_beside(text: str, folder: Path) -> str:
    """An order of classes that a file in this folder says: a path if it names a file of classes that stands there."""
    try:
        file = Path(path_beside(text, folder))
        return str(file) if text not in ORDERS and file.is_file() else text
    except (OSError, SettingError):  # a list of classes, longer than a file's name may be, or with a strange name
        return text


def read_configuration() -> Configuration:
    """The configuration that counts in the working directory; an empty one if there is none.

    Raises:
        SettingError: a file cannot be read, or is not TOML; names the file.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        if named.strip().lower() in NO_FILE:
            return Configuration()
        file = expanded(named).absolute()
        whole = read_toml(file, f"the configuration {named}, which {VARIABLE} names,")
        return Configuration(file, _own(whole, file) if file.name == PROJECT_FILE else whole, named=True)
    return next(_found(), Configuration())


def _found() -> Iterator[Configuration]:
    """The configurations of the working directory and the folders above it."""
    for folder in _folders():
        file, project = folder / FILE, folder / PROJECT_FILE
        table = _of_project(project)
        if os.path.lexists(file):  # a broken link is refused, too
            both = f"{file_shown(file)} holds; [tool.harness] of the {PROJECT_FILE} beside it is not read"
            yield Configuration(
                file, read_toml(file, f"the configuration {file_shown(file)}"), note=both if table is not None else None
            )
        elif table is not None:
            yield Configuration(project, table)


def _of_project(file: Path) -> Mapping[str, Any] | None:
    """The table of harness in a ``pyproject.toml``; None if it has none. A file that does not name it is not parsed."""
    try:
        content = file.read_bytes() if file.is_file() else b""
    except OSError:  # another project's file, which this user may not read
        return None
    if b"harness" not in content:
        return None
    tool = parse_toml(content, str(file)).get("tool", {})
    return _own({"tool": tool}, file) if isinstance(tool, Mapping) and "harness" in tool else None


def _own(whole: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    tool = whole.get("tool", {})
    table = tool.get("harness") if isinstance(tool, Mapping) else None
    if not isinstance(table, Mapping):
        raise SettingError(f"{file} has no table [tool.harness]; add it, or name another file")
    return table


def _folders() -> list[Path]:
    """The working directory and the folders above it; none if it was removed."""
    try:
        here = Path.cwd()
    except OSError:
        return []
    return [here, *here.parents]
