"""Protocols that begin from another one: a file says ``base = "paper"``, and what follows changes the base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import SettingError, UnknownName, normal, quoted, visible
from harness.files import resolved
from harness.protocols.toml_file import parse_toml, read_toml

BASE = "base"


def protocol_names() -> list[str]:
    """The protocols that come with harness."""
    folder = resources.files("harness") / "protocols"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def documents_of(name: str) -> list[tuple[str, dict[str, Any]]]:
    """A protocol and its bases, each as its name and its document without ``base``: the asked one first.

    A path in ``base`` is relative to the folder of the file that says it.

    Raises:
        UnknownName: a name is neither a protocol of harness nor a file.
        SettingError: a file is not TOML, or the bases make a circle.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    files: list[Path] = []
    wanted: str | None = name
    while wanted is not None:
        file = None if wanted in protocol_names() else _file(wanted, files)
        if file is None:
            content = (resources.files("harness") / "protocols" / f"{wanted}.toml").read_bytes()
            own, document = wanted, parse_toml(content, f"protocol {wanted!r}")
        else:
            if resolved(file) in (resolved(known) for known in files):
                circle = " -> ".join(str(each) for each in (*files, file))
                raise SettingError(f"protocol {found[0][0]!r} is refused: its bases make a circle, {circle}")
            files.append(file)
            own = normal(file.stem)  # systems encode the same name with different bytes
            if visible(own) != own:
                rule = "a control or invisible character is in its file's name; rename the file"
                raise SettingError(f"protocol {quoted(own)} is refused: {rule}")
            document = read_toml(file, f"protocol {own!r}")
        wanted = document.pop(BASE, None)
        if wanted is not None and not isinstance(wanted, str):
            raise SettingError(f"protocol {own!r}: {BASE}={wanted!r} is refused: write a protocol's name, or a file's")
        found.append((own, document))
    return found


def _file(wanted: str, files: list[Path]) -> Path:
    """The file of a protocol, asked for by the user or by the last of these files."""
    file = files[-1].parent / wanted if files else Path(wanted)
    if wanted.endswith(".toml") and file.is_file():
        return file
    unknown = UnknownName("protocol", wanted, protocol_names())
    if not files and wanted.endswith(".toml"):
        raise SettingError(f"there is no protocol file {wanted}; check the path, or name one of harness's protocols")
    if not files:
        raise unknown
    raise SettingError(f"protocol {files[-1].stem!r}, base: {unknown}; or give a TOML file beside {files[-1]}")


def merged(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One document of several: what an earlier one says holds; tables are merged key by key.

    A key stays where the last document that has it has it, after those that only earlier ones have: a file that changes
    a setting of a wrapper leaves the order of wrappers as it is.
    """
    whole: dict[str, Any] = {}
    for document in reversed(list(documents)):
        own: dict[str, Any] = {}
        for key, value in document.items():
            known = whole.get(key)
            both = [value, known] if isinstance(known, Mapping) else [value]
            place = whole if key in whole else own
            place[key] = merged(both) if isinstance(value, Mapping) else value
        whole = own | whole
    return whole
