"""Where things are: the database, the runs, the data, plugins. A variable holds over the project's configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SettingError, UnknownName
from harness.files import DIRECTORY, expanded, resolved, why_no_file
from harness.locations import is_broken_address, shown_location
from harness.planning.configuration import VARIABLE, Configuration, read_configuration

PLUGINS = "plugins"
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:)(.+)")  # a URL of a file, by a relative path


@dataclass(frozen=True)
class NamedPlace:
    """One place: its key in a configuration, which is its option, too; its variable; its default in words."""

    key: str
    variable: str
    default: str


PLACES = (
    NamedPlace("db", "HARNESS_DB", "leaderboard.db"),
    NamedPlace("runs-dir", "HARNESS_RUNS_DIR", "runs"),
    NamedPlace("data-dir", "HARNESS_DATA_DIR", "data"),
)


@dataclass(frozen=True)
class ConfiguredPlaces:
    """What a configuration says of places: absolute paths, or a URL of a database.

    Attributes:
        paths: by key; only those that the configuration has.
        plugins: files, and folders of files, that count besides ``HARNESS_PLUGINS`` and ``--plugin``.
    """

    paths: Mapping[str, str]
    plugins: tuple[Path, ...] = ()

    def in_force(self, key: str) -> str | None:
        """What the configuration says of a place, unless its variable holds."""
        (place,) = (place for place in PLACES if place.key == key)
        return None if os.environ.get(place.variable) else self.paths.get(key)


def read_places(configuration: Configuration) -> ConfiguredPlaces:
    """The places of a configuration, checked.

    Raises:
        SettingError: a key is no place, a value has the wrong type, a plugin does not exist, or plugins are named in a
            file of another user that nobody named.
    """
    known = {place.key for place in PLACES}
    for key, value in configuration.content.items():
        if key not in (*known, PLUGINS) and not isinstance(value, Mapping):
            raise SettingError(f"{configuration.name}: {UnknownName('key', key, (*known, PLUGINS))}")
        if key in known and not (isinstance(value, str) and value.strip()):
            raise SettingError(f"{configuration.name}: {key} = {value!r} is refused: it must be a text, a path")
    paths = {key: str(value) for key, value in configuration.content.items() if key in known}
    return ConfiguredPlaces(
        {key: _located(text, configuration) for key, text in paths.items()}, _plugins(configuration)
    )


def _located(text: str, configuration: Configuration) -> str:
    """A path, or the URL of a database; what is relative begins at the configuration's folder."""
    relative = _SQLITE.fullmatch(text)
    if relative is not None:
        return relative[1] + configuration.beside(relative[2])
    return text if "://" in text or is_broken_address(text) else configuration.beside(text)


def _plugins(configuration: Configuration) -> tuple[Path, ...]:
    texts = configuration.content.get(PLUGINS, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise SettingError(
            f"{configuration.name}: {PLUGINS} = {texts!r} is refused: it must be a list of texts, the paths of plugin"
            ' files and of folders of them, such as ["my_loss.py"]'
        )
    paths = tuple(Path(configuration.beside(text)) for text in texts)
    for path in paths:
        reason = why_no_file(path)
        if reason not in (None, DIRECTORY):
            raise SettingError(f"{configuration.name}: {PLUGINS} names {path}, which {reason}; correct the path")
    if paths:
        _refuse_a_stranger(configuration)
    return paths


def _refuse_a_stranger(configuration: Configuration) -> None:
    """Refuse plugins that another user's file names: in a folder that all may write to, anybody can leave one."""
    if configuration.named or configuration.file is None or not hasattr(os, "getuid"):
        return
    file = configuration.file
    owners = {file.stat().st_uid, file.lstat().st_uid}  # a stranger's link moves this user's file, and paths beside it
    if not owners <= {os.getuid(), 0}:
        raise SettingError(
            f"{configuration.name} belongs to another user, and names plugins, which are code that would run as you;"
            f" if you trust it, set {VARIABLE}={configuration.file}, else set {VARIABLE}=none"
        )


def overruled(places: ConfiguredPlaces, configuration: Configuration, keys: Sequence[str]) -> list[str]:
    """One line for each of these places of which a variable says something else than the configuration."""
    notes = []
    for place in PLACES:
        told, variable = places.paths.get(place.key), os.environ.get(place.variable)
        if place.key in keys and told is not None and variable and _whole(variable) != _whole(told):
            shown = shown_location(variable), shown_location(told)
            notes.append(f"{place.variable}={shown[0]} holds, and not {place.key} = {shown[1]} of {configuration.name}")
    return notes


def _whole(path: str) -> str:
    return path if "://" in path else str(resolved(expanded(path)))


@dataclass(frozen=True)
class PlaceArguments:
    """The places of a function of the Python interface.

    Attributes:
        db: None: what its variable names, else the default.
        plugins: all of them: the configuration's, and those that the caller gave.
        notes: one line for each place of which a variable says something else than the configuration.
    """

    db: str | None
    runs_dir: Path
    data_dir: Path
    plugins: tuple[Path, ...]
    notes: tuple[str, ...]


def place_arguments(
    *,
    db: str | Path | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[Path] = (),
) -> PlaceArguments:
    """What the caller gave; else what a variable, the project's configuration, or the default says, in this order.

    Raises:
        SettingError: the configuration cannot be read, or a place in it is refused.
    """
    configuration = read_configuration()
    places = read_places(configuration)
    told: dict[str, str | Path | None] = {"db": db, "runs-dir": runs_dir, "data-dir": data_dir}
    found: dict[str, str | None] = {}
    for place in PLACES:
        given = told[place.key]
        default = None if place.key == "db" else os.environ.get(place.variable) or place.default
        found[place.key] = str(given) if given is not None else places.in_force(place.key) or default
    asked = [key for key, given in told.items() if given is None]
    return PlaceArguments(
        found["db"],
        Path(found["runs-dir"] or ""),
        Path(found["data-dir"] or ""),
        (*places.plugins, *plugins),
        tuple(overruled(places, configuration, asked)),
    )
